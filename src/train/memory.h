// What training will take, before it starts: the step itself, run without memory.
#pragma once

#include "ops/cost.h"
#include "train/config.h"

namespace sambay {

struct TrainingForecast {
  size_t weights = 0;  // bytes: compute copies where they are not the masters
  size_t masters = 0;
  size_t gradients = 0;
  size_t moments = 0;
  size_t activations = 0;  // what the busiest moment of a step adds to these
  size_t peak = 0;         // of the arena; later steps differ by what their segments need
  Cost step;               // operations and bytes of one optimiser step
};

// Runs the first step and, if there is one, a validation on Device::meta; where the recipe's shards
// do not exist yet, with rows of one document each.
TrainingForecast forecast_training(const Recipe& recipe);

}  // namespace sambay
