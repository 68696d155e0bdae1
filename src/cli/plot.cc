#include "train/plot.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace sambay::cli {
namespace {

void run(const PlotOptions& options, const Common& common) {
  plot_curves(options);
  if (common.json) {
    fmt::print("{}\n", nlohmann::json{{"out", options.out.string()}}.dump());
  }
}

}  // namespace

void add_plot(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<PlotOptions>();
  command.add_option("runs", options->runs, "Folders of runs, or their metrics.jsonl")->required();
  command.add_option("--out", options->out, "Picture to write: NAME.svg or NAME.png")->required();
  command.add_option("--metric", options->metric, "loss, validation_loss, learning_rate, ...")
      ->capture_default_str();
  command.add_flag("--log", options->log, "Logarithmic metric");
  command.footer("Example: sambay plot runs/a runs/b --out loss.svg");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
