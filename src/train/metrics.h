// What a run tells about itself, step by step: JSON lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/tensorboard.h"

namespace sambay {

struct StepMetrics {
  int64_t step = 0, tokens = 0;  // done so far; tokens that there was room for
  double loss = 0;               // mean of the step, nats
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  double tokens_per_second = 0;
  double peak_share = 0;  // matrix operations a second over the machine's peak
  std::optional<double> validation_loss;

  // {"step", "tokens", "loss", "learning_rate", "gradient_norm", "tokens_per_second",
  //  "peak_share"} and, where there is one, "validation_loss".
  nlohmann::json to_json() const;
};

// RUN/metrics.jsonl and a TensorBoard event file beside it.
class MetricsWriter {
 public:
  // Keeps the lines up to `resumed_step`: a run that was cut off later writes the rest again.
  MetricsWriter(const std::filesystem::path& run, int64_t resumed_step);
  // Reaches the files at once. Throws Error.
  void write(const StepMetrics& metrics);

 private:
  std::filesystem::path path_;
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
  EventWriter events_;
};

// (step, value) of the lines that have the metric. Throws Error naming file, line and field; none
// at all is an Error too.
std::vector<std::pair<double, double>> read_curve(const std::filesystem::path& run,
                                                  const std::string& metric);

}  // namespace sambay
