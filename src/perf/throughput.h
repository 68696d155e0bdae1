// Long generation in a given memory: how batches trade the time of one answer for answers a second.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "perf/generation.h"

namespace sambay {

struct ThroughputOptions {
  int64_t prompt = 2000, generated = 32000;  // tokens a sequence
  double memory_bytes = 0;                   // weights, states and activations
  int64_t max_batch = 0;                     // 0: as many as fit
  int64_t chunk = 512;                       // of a prompt
  int positions = 3;  // where steps are timed, from the first generated token to the last
  PerfOptions perf;
};

struct ThroughputPoint {
  int64_t batch = 0;
  double latency = 0;       // seconds from prompts to last tokens
  double prompt_share = 0;  // of the latency
  double peak_bytes = 0;
  double tokens_per_second = 0;  // generated ones of all sequences
};

struct ThroughputCurve {
  std::string name;
  int64_t parameters = 0;
  int64_t fitting_batch = 0;  // the largest
  std::vector<ThroughputPoint> points;

  const ThroughputPoint& best() const;
};

// Batches of 1, 2, 4, ... and the largest that fits. Steps are timed at some positions and the time
// of all others lies on straight lines between them, as work that grows with position does; prompts
// are read one after the other. Throws Error if not even one sequence fits.
ThroughputCurve measure_throughput(const ModelConfig& config, const Precision& precision,
                                   const ThroughputOptions& options);

// Latency over throughput, a curve a model. Throws Error as run_gnuplot does.
void plot_throughput(const std::vector<ThroughputCurve>& curves, const std::filesystem::path& out);

}  // namespace sambay
