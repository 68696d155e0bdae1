#include <fmt/format.h>

#include "cli/commands.h"
#include "ops/ceilings.h"
#include "train/loop.h"

namespace sambay::cli {
namespace {

struct Options {
  std::filesystem::path recipe, out;
  bool resume = false;
};

// The peak that the recipe's matrix products are bounded by; memory's speed is not asked for.
double matrix_peak(const Recipe& recipe) {
  const auto ceilings = ops::measure_ceilings({.buffer_bytes = size_t{1} << 26});
  return recipe.precision.compute == DType::bf16 ? ceilings.bf16_flops_per_second
                                                 : ceilings.f32_flops_per_second;
}

void print_result(const TrainResult& result, const std::filesystem::path& out) {
  fmt::print("{}: {} steps, {} tokens, loss {:.4f}", out.string(), result.steps, result.tokens,
             result.loss);
  if (result.validation_loss) {
    fmt::print(", validation loss {:.4f}", *result.validation_loss);
  }
  fmt::print("{}\n", result.finished ? "" : "; stopped early: continue it with --resume");
}

void run(const Options& options, const Common& common) {
  const Recipe recipe = Recipe::load(options.recipe);
  TrainOptions train_options;
  train_options.out =
      options.out.empty() ? std::filesystem::path("runs") / options.recipe.stem() : options.out;
  train_options.resume = options.resume;
  train_options.quiet = common.json;
  train_options.matrix_peak = matrix_peak(recipe);
  if (common.json) {
    train_options.on_step = [](const StepMetrics& metrics) {
      fmt::print("{}\n", metrics.to_json().dump());
      std::fflush(stdout);
    };
  }
  const TrainResult result = train(recipe, train_options);
  if (!common.json) {
    print_result(result, train_options.out);
  }
}

}  // namespace

void add_train(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("recipe", options->recipe, "The run as data: a file like recipes/*.json")
      ->required();
  command.add_option("--out", options->out, "The run's folder; runs/NAME of the recipe otherwise");
  command.add_flag("--resume", options->resume, "Continue from the newest checkpoint, if any");
  command.footer(
      "With --json each step's metrics are a line on stdout.\n"
      "Example: sambay train recipes/tiny-reasoner.json --out runs/tiny-reasoner");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
