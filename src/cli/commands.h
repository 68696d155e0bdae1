// The commands of the program. A new one is a file of its own and its two lines here.
#pragma once

#include <CLI/CLI.hpp>

namespace sambay::cli {

// What every command takes.
struct Common {
  bool json = false;  // results as JSON on stdout
};

// Adds a command's options and sets its callback; `common` outlives the parsing.
void add_bench(CLI::App& command, const Common& common);
void add_convert(CLI::App& command, const Common& common);
void add_data(CLI::App& command, const Common& common);
void add_eval(CLI::App& command, const Common& common);
void add_gradients(CLI::App& command, const Common& common);
void add_init(CLI::App& command, const Common& common);
void add_inspect(CLI::App& command, const Common& common);
void add_logits(CLI::App& command, const Common& common);
void add_plot(CLI::App& command, const Common& common);
void add_pull(CLI::App& command, const Common& common);
void add_quantize(CLI::App& command, const Common& common);
void add_run(CLI::App& command, const Common& common);
void add_tokenize(CLI::App& command, const Common& common);
void add_train(CLI::App& command, const Common& common);

struct Command {
  const char* name;
  const char* description;
  void (*add)(CLI::App& command, const Common& common);
};

inline constexpr Command commands[] = {
    {"bench", "Measure speeds beside what this machine can do", add_bench},
    {"convert", "Write a model in another layout: ours, Hugging Face's", add_convert},
    {"data", "Make tokenizers and token shards", add_data},
    {"eval", "Measure what a model can do", add_eval},
    {"gradients", "Loss and gradients of a batch, as a safetensors file", add_gradients},
    {"init", "Make a new model of a preset", add_init},
    {"inspect", "What a model consists of, needs and costs", add_inspect},
    {"logits", "Logits of a batch, as a safetensors file", add_logits},
    {"plot", "Curves of runs, as a picture", add_plot},
    {"pull", "Fetch a model from the Hugging Face Hub", add_pull},
    {"quantize", "Store a model's weights in 8 or 4 bits", add_quantize},
    {"run", "Ask a model: in a conversation, or one prompt", add_run},
    {"tokenize", "Text to token ids and back", add_tokenize},
    {"train", "Train a model as a recipe says", add_train},
};

}  // namespace sambay::cli
