#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/line_editor.h"
#include "cli/options.h"
#include "engine/about.h"
#include "engine/generator.h"
#include "text/chat.h"

namespace sambay::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model, prompt, dtype = "f32";
  bool raw = false;
  GenerateOptions generate{.max_tokens = 2048};
};

// models/tiny-reasoner beside the program or in a folder above it or above the current one.
fs::path default_model() {
  if (const char* named = std::getenv("SAMBAY_MODEL"); named != nullptr) {
    return named;
  }
  std::error_code ignored;
  for (const fs::path& start :
       {fs::current_path(ignored), fs::read_symlink("/proc/self/exe", ignored).parent_path()}) {
    for (fs::path folder = start; !folder.empty(); folder = folder.parent_path()) {
      for (const char* below : {"models/tiny-reasoner", "share/sambay/models/tiny-reasoner"}) {
        if (fs::exists(folder / below / "config.json", ignored)) {
          return folder / below;
        }
      }
      if (folder == folder.root_path()) {
        break;
      }
    }
  }
  fail("run", "no model: name its folder, or set SAMBAY_MODEL");
}

// How questions become prompts, and answers end.
class Asker {
 public:
  Asker(const LoadedModel& model, const Options& options, bool multi_turn)
      : model_(&model), generate_(options.generate), session_(model), multi_turn_(multi_turn) {
    const Tokenizer& tokenizer = model.tokenizer;
    if (!options.raw && tokenizer.id_of(ChatFormat::assistant_mark)) {
      chat_.emplace(tokenizer);
      generate_.stop_ids.push_back(chat_->end_id());
    }
    if (const auto end = tokenizer.id_of(end_of_text_mark)) {
      generate_.stop_ids.push_back(*end);
    }
  }

  Generation ask(std::string_view question, const TextCallback& callback) {
    std::vector<int32_t> prompt;
    if (!multi_turn_ || !chat_) {
      session_.reset();
    } else if (unfinished_) {
      prompt.push_back(chat_->end_id());
    }
    const auto ids =
        chat_ ? chat_->prompt(question) : model_->tokenizer.encode(question, AddedTokens::as_text);
    prompt.insert(prompt.end(), ids.begin(), ids.end());
    Generation answer = session_.generate(prompt, generate_, callback);
    unfinished_ = answer.reason != FinishReason::stop;
    return answer;
  }

 private:
  const LoadedModel* model_;
  GenerateOptions generate_;
  std::optional<ChatFormat> chat_;
  Session session_;
  bool multi_turn_;
  bool unfinished_ = false;  // the last answer was cut off: its turn is still open
};

nlohmann::json to_json(const Generation& g, const Tokenizer& tokenizer) {
  nlohmann::json json = {{"text", g.text},
                         {"ids", g.ids},
                         {"finish_reason", name(g.reason)},
                         {"prompt_tokens", g.prompt_tokens},
                         {"sampled_tokens", g.sampled_tokens},
                         {"prefill_seconds", g.prefill_seconds},
                         {"decode_seconds", g.decode_seconds},
                         {"prefill_tokens_per_second", g.prefill_rate()},
                         {"decode_tokens_per_second", g.decode_rate()}};
  const auto entry = [&](int32_t id, double log_prob) {
    return nlohmann::json{
        {"id", id}, {"token", tokenizer.decode(std::span(&id, 1))}, {"log_prob", log_prob}};
  };
  for (const SampledToken& token : g.tokens) {
    auto& line = json["log_probs"].emplace_back(entry(token.id, token.log_prob));
    line["top"] = nlohmann::json::array();
    for (const TokenLogProb& other : token.top) {
      line["top"].push_back(entry(other.id, other.log_prob));
    }
  }
  return json;
}

void show(std::string_view piece) {
  fmt::print("{}", piece);
  std::fflush(stdout);
}

void answer_once(Asker& asker, const LoadedModel& model, std::string_view question, bool json) {
  const Generation answer = asker.ask(question, [json](std::string_view piece) {
    if (!json) {
      show(piece);
    }
    return true;
  });
  fmt::print("{}\n", json ? to_json(answer, model.tokenizer).dump() : "");
}

void converse(Asker& asker, const LoadedModel& model, const About& about) {
  fmt::print("{}\n", about.about.empty() ? model.decoder.config().name : about.about);
  for (const std::string& example : about.examples) {
    fmt::print("  {}\n", example);
  }
  fmt::print("Ctrl-C stops an answer, Ctrl-D leaves.\n\n");
  LineEditor editor("> ");
  while (const auto line = editor.read()) {
    if (line->find_first_not_of(" \t") == std::string::npos) {
      continue;
    }
    const Generation answer = asker.ask(*line, [](std::string_view piece) {
      show(piece);
      return !LineEditor::take_interrupt();
    });
    fmt::print("\n[{}{} tokens, {:.0f} tokens/s; prompt of {} in {:.0f} ms]\n\n",
               answer.reason == FinishReason::stop ? "" : fmt::format("{}: ", name(answer.reason)),
               answer.sampled_tokens, answer.decode_rate(), answer.prompt_tokens,
               answer.prefill_seconds * 1000);
  }
  fmt::print("\n");
}

void run(const Options& options, bool prompt_given, const Common& common) {
  const bool interactive = !prompt_given && !common.json && isatty(STDIN_FILENO) != 0;
  std::string prompt = options.prompt;
  check_options(options.generate.sampling);
  if (prompt_given) {
    check_utf8(prompt, "--prompt");
  } else if (!interactive) {
    prompt = read_stdin();
    while (prompt.ends_with('\n') || prompt.ends_with('\r')) {
      prompt.pop_back();
    }
  }
  if (!interactive && prompt.empty()) {
    fail("prompt", "empty: expected a question");
  }
  const fs::path folder =
      options.model.empty() ? default_model() : model_folder(options.model, common);
  const LoadedModel model = LoadedModel::load(folder, parse_precision(options.dtype));
  const About about = About::load(folder);
  Asker asker(model, options, about.multi_turn);
  if (interactive) {
    converse(asker, model, about);
  } else {
    answer_once(asker, model, prompt, common.json);
  }
}

}  // namespace

void add_run(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option(
      "model", options->model,
      "Model folder, or a name on the Hub; else SAMBAY_MODEL, else models/tiny-reasoner");
  const auto* prompt = command.add_option(
      "--prompt", options->prompt, "Answer this and leave; else a conversation, or all of stdin");
  add_sampling_options(command, options->generate.sampling);
  command.add_option("--max-tokens", options->generate.max_tokens, "Tokens of an answer at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--stop", options->generate.stop_texts, "A text that ends the answer")
      ->allow_extra_args(false);
  command.add_option("--log-probs", options->generate.sampling.log_probs,
                     "With --json: log-probabilities of each token and the n most probable");
  command.add_flag("--raw", options->raw, "Continue the prompt as text, without chat marks");
  add_dtype_option(command, options->dtype);
  command.footer("Example: sambay run --prompt \"What is 123 times 45?\"");
  command.callback([options, prompt, &common] { run(*options, prompt->count() > 0, common); });
}

}  // namespace sambay::cli
