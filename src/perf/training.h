// How fast a model trains, beside the machine's matrix peak.
#pragma once

#include "perf/generation.h"

namespace sambay {

struct TrainingSpeed {
  int64_t tokens = 0, row_length = 0;  // of a step
  Timing step;                         // forward, backward and optimiser
  Cost cost;
  size_t peak_bytes = 0;

  double flops_per_second() const { return cost.matrix_flops / step.median; }
};
// Optimiser steps over `rows` rows of random tokens.
TrainingSpeed measure_training(const ModelConfig& config, const Precision& precision, int64_t rows,
                               int64_t row_length, const PerfOptions& options,
                               CeilingWatch& ceilings);

}  // namespace sambay
