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
  bool recompute = false;
};

void run(const Options& options, const Common& common) {
  Arena arena;
  const Precision precision = parse_precision(options.dtype);
  Decoder decoder = load_model(model_folder(options.model, common), precision, arena);
  allocate_gradients(decoder, precision, arena);
  const BatchFile batch = read_batch(options.tokens, true);
  const auto counted =
      std::ranges::count_if(batch.targets, [](int32_t target) { return target >= 0; });
  if (counted == 0) {
    fail(options.tokens, "targets: none is given");
  }
  Exec exec{&arena, nullptr, precision, options.recompute};
  Decoder::LossOptions loss_options{.cross_entropy = {}, .gradients = true};
  loss_options.cross_entropy.gradient_scale = 1.0F / static_cast<float>(counted);
  const auto sums =
      decoder.loss(exec, {batch.ids, batch.segments, {}, {}}, batch.targets, loss_options);

  const double loss = sums.loss / static_cast<double>(sums.counted);
  std::vector<NamedTensor> tensors{{"loss", Tensor::from<double>(std::span(&loss, 1), {1})}};
  for (const auto& param : decoder.params().all()) {
    tensors.push_back({"grad." + param.name, param.weight.gradient});
  }
  write_safetensors(options.out, tensors);
  if (common.json) {
    fmt::print("{}\n",
               nlohmann::json{{"out", options.out}, {"loss", loss}, {"tokens", counted}}.dump());
  } else {
    fmt::print("loss {:.6f} over {} tokens\n", loss, counted);
  }
}

}  // namespace

void add_gradients(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("--model", options->model, "Model folder, or a name on the Hub")->required();
  command
      .add_option("--tokens", options->tokens, "safetensors with ids, segment_begin and targets")
      ->required();
  command.add_option("--out", options->out, "Where `loss` and `grad.<parameter>` go")->required();
  command.add_flag("--recompute", options->recompute, "Keep layer inputs only, run layers again");
  add_dtype_option(command, options->dtype);
  command.footer(
      "Example: sambay gradients --model model --tokens batch.safetensors --out "
      "gradients.safetensors");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
