#include "train/plot.h"

#include "base/error.h"
#include "base/gnuplot.h"
#include "train/metrics.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

std::string run_name(const fs::path& run) {
  const fs::path folder =
      fs::is_directory(run) ? fs::absolute(run) : fs::absolute(run).parent_path();
  const fs::path plain = folder.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

}  // namespace

std::string plot_script(const PlotOptions& options) {
  std::string data, curves;
  for (size_t i = 0; i < options.runs.size(); ++i) {
    data += fmt::format("$run{} << END\n", i);
    for (const auto& [step, value] : read_curve(options.runs[i], options.metric)) {
      data += fmt::format("{} {}\n", step, value);
    }
    data += "END\n";
    curves += fmt::format("{} $run{} using 1:2 with lines linewidth 1.5 title {}",
                          i == 0 ? "plot" : ",", i, gnuplot_quoted(run_name(options.runs[i])));
  }
  return fmt::format(
      "{}set xlabel 'step'\nset ylabel {} noenhanced\nset key noenhanced\nset grid\n{}{}{}\n",
      gnuplot_output(options.out), gnuplot_quoted(options.metric),
      options.log ? "set logscale y\n" : "", data, curves);
}

void plot_curves(const PlotOptions& options) {
  run_gnuplot(plot_script(options), options.out);
}

}  // namespace sambay
