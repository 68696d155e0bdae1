#include <fmt/format.h>

#include <algorithm>

#include "cli/batch_file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "formats/safetensors.h"
#include "model/weights.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model, tokens, out, dtype = "f32";
  int64_t chunk = 0;
  int kv_bits = 0;
};

// All segments side by side, each `chunk` tokens at a time through a state of its own.
Tensor chunked_logits(const Decoder& decoder, Exec& exec, const BatchFile& batch, int64_t chunk) {
  const auto count = static_cast<size_t>(batch.segments.count());
  const auto spec = decoder.state_spec(exec.precision);
  std::vector<SequenceState> states;
  for (size_t s = 0; s < count; ++s) {
    states.emplace_back(spec, *exec.arena);
  }
  std::vector<SequenceState*> pointers;
  for (auto& state : states) {
    pointers.push_back(&state);
  }
  Tensor all = exec.empty({batch.segments.rows(), decoder.config().vocab_size}, DType::f32);
  for (;;) {
    Segments step;
    std::vector<int32_t> ids;
    for (size_t s = 0; s < count; ++s) {
      const int64_t past = states[s].length();
      const int64_t rows = std::min(chunk, batch.segments.rows(static_cast<int>(s)) - past);
      const auto first = batch.ids.begin() + batch.segments.begin[s] + past;
      ids.insert(ids.end(), first, first + rows);
      step.add(rows, past);
    }
    if (step.rows() == 0) {
      return all;
    }
    const Tensor logits = decoder.logits(exec, {ids, step, pointers, {}});
    for (size_t s = 0; s < count; ++s) {
      const int64_t to = batch.segments.begin[s] + step.past[s];
      all.slice(0, to, to + step.rows(static_cast<int>(s)))
          .copy_from(logits.slice(0, step.begin[s], step.begin[s + 1]));
    }
  }
}

void run(const Options& options, const Common& common) {
  Arena arena;
  const Precision precision = parse_precision(options.dtype, options.kv_bits);
  const Decoder decoder = load_model(model_folder(options.model, common), precision, arena);
  const BatchFile batch = read_batch(options.tokens, false);
  Exec exec{&arena, nullptr, precision};
  const Tensor logits = options.chunk > 0
                            ? chunked_logits(decoder, exec, batch, options.chunk)
                            : decoder.logits(exec, {batch.ids, batch.segments, {}, {}});
  write_safetensors(options.out, {{"logits", logits}});
  if (common.json) {
    fmt::print(
        "{}\n",
        nlohmann::json{{"out", options.out}, {"rows", logits.dim(0)}, {"vocabulary", logits.dim(1)}}
            .dump());
  }
}

}  // namespace

void add_logits(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("--model", options->model, "Model folder, or a name on the Hub")->required();
  command.add_option("--tokens", options->tokens, "safetensors with ids and segment_begin")
      ->required();
  command.add_option("--out", options->out, "Where `logits` (T, vocabulary) goes")->required();
  command.add_option("--chunk", options->chunk, "Feed each document in pieces of so many tokens")
      ->check(CLI::PositiveNumber);
  add_dtype_option(command, options->dtype);
  add_kv_bits_option(command, options->kv_bits);
  command.footer(
      "Example: sambay logits --model model --tokens batch.safetensors --out logits.safetensors");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
