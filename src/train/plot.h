// Curves of runs, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sambay {

struct PlotOptions {
  std::vector<std::filesystem::path> runs;  // folders with metrics.jsonl, or such files
  std::filesystem::path out;                // .svg or .png
  std::string metric = "loss";              // a field of metrics.jsonl
  bool log = false;                         // a logarithmic scale for it
};

// One curve a run over its steps. Throws Error: another ending, no gnuplot, gnuplot failed, and
// what read_curve throws.
void plot_curves(const PlotOptions& options);

// What gnuplot is told.
std::string plot_script(const PlotOptions& options);

}  // namespace sambay
