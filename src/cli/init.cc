#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "model/weights.h"

namespace sambay::cli {
namespace {

struct Options {
  PresetOptions preset;
  std::string parametrization = "mup++", out, dtype = "f32";
  uint64_t seed = 0;
};

void run(const Options& options, const Common& common) {
  Arena arena;  // outlives the weights
  Decoder decoder(make_config(options.preset, options.parametrization));
  const DType dtype = parse_precision(options.dtype).compute;
  initialize(decoder, {dtype, DType::f32}, options.seed, arena);
  save_model(decoder, options.out, dtype);
  const int64_t parameters = decoder.params().elements();
  if (common.json) {
    fmt::print("{}\n", nlohmann::json{{"out", options.out}, {"parameters", parameters}}.dump());
  } else {
    fmt::print("{}: {} with {} parameters\n", options.out, decoder.config().name, parameters);
  }
}

}  // namespace

void add_init(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  add_preset_options(command, options->preset, options->parametrization);
  command.get_option("--preset")->required();
  command.add_option("--out", options->out, "Folder to make")->required();
  command.add_option("--seed", options->seed, "Seed of the initial weights")->capture_default_str();
  add_dtype_option(command, options->dtype);
  command.footer("Example: sambay init --preset sambay --depth 8 --out model");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
