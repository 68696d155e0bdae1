#include "cli/inspect_training.h"

#include <fmt/format.h>

#include "cli/options.h"
#include "model/dry_run.h"
#include "train/memory.h"

namespace sambay::cli {

void inspect_training(const std::filesystem::path& file, const Common& common) {
  const Recipe recipe = Recipe::load(file);
  const TrainingForecast forecast = forecast_training(recipe);
  const auto tokens = static_cast<double>(recipe.batch_tokens);
  const nlohmann::json report = {{"model", recipe.model.name},
                                 {"steps", recipe.steps},
                                 {"tokens", recipe.steps * recipe.batch_tokens},
                                 {"masters_bytes", forecast.masters},
                                 {"compute_copies_bytes", forecast.weights},
                                 {"gradients_bytes", forecast.gradients},
                                 {"moments_bytes", forecast.moments},
                                 {"activations_bytes", forecast.activations},
                                 {"peak_bytes", forecast.peak},
                                 {"process_bytes", forecast.peak + program_bytes},
                                 {"flops_per_token", forecast.step.flops() / tokens},
                                 {"matrix_flops_per_token", forecast.step.matrix_flops / tokens}};
  if (common.json) {
    fmt::print("{}\n", report.dump(2));
    return;
  }
  fmt::print("{}: {} steps of {} tokens\n", recipe.model.name, recipe.steps, recipe.batch_tokens);
  const auto line = [&](const char* what, size_t bytes) {
    fmt::print("  {:16} {:>12}\n", what, short_bytes(static_cast<double>(bytes)));
  };
  line("masters", forecast.masters);
  line("compute copies", forecast.weights);
  line("gradients", forecast.gradients);
  line("moments", forecast.moments);
  line("activations", forecast.activations);
  line("peak", forecast.peak);
  line("process", forecast.peak + program_bytes);
  fmt::print("  {}FLOP a token, {:.0f}% of it matrix products\n",
             short_number(forecast.step.flops() / tokens),
             100 * forecast.step.matrix_flops / forecast.step.flops());
}

}  // namespace sambay::cli
