// A run from its first step, or from its last checkpoint, to its finished model.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "train/config.h"
#include "train/metrics.h"

namespace sambay {

struct TrainOptions {
  std::filesystem::path out;  // the run's folder: checkpoints/, metrics.jsonl, model/
  bool resume = false;        // from the newest complete checkpoint; without one from the start
  bool quiet = false;         // no progress line
  double matrix_peak = 0;     // multiplications and additions a second; 0: peak_share stays 0
  // Called after each step's metrics are written.
  std::function<void(const StepMetrics&)> on_step;
};

struct TrainResult {
  int64_t steps = 0, tokens = 0;
  double loss = 0;  // of the last step
  std::optional<double> validation_loss;
  bool finished = false;  // false: a signal asked to stop; the checkpoint is written
};

// Throws Error: data that does not fit, a full disk, a loss or gradient that is not finite (the
// last checkpoint is kept and named). Without `resume` a run folder that has checkpoints is an
// Error.
TrainResult train(const Recipe& recipe, const TrainOptions& options);

}  // namespace sambay
