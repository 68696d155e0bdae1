// AdamW over a model's parameters: fp32 masters, moments, groups, clipping.
#pragma once

#include <vector>

#include "formats/safetensors.h"
#include "nn/param.h"
#include "ops/adamw.h"
#include "train/config.h"

namespace sambay {

// Owns what training keeps of each parameter beside its gradient. In bf16 training Param.weight
// of a matrix is the bf16 copy of the master; elsewhere it is the master itself.
class Optimizer {
 public:
  // The weights must be bound in precision.accum (initialize or load_weights with {accum, accum}):
  // they become the masters, and matrices get compute copies. Gradients must be allocated.
  Optimizer(ParamStore& params, const Recipe& recipe, Arena& arena);

  struct Rate {
    double learning_rate = 0;  // eta of this step, before the groups' multipliers
    double schedule = 1;       // its share of the peak; for the independent decay
  };
  // Clips the gradients to the global norm, updates every parameter, and leaves the gradients
  // zero. Returns the norm before clipping; when that is not finite nothing is updated.
  double step(const Rate& rate);

  int64_t steps_done() const { return steps_; }
  // For checkpoints: tensors that share the optimizer's memory.
  std::vector<NamedTensor> masters() const;
  std::vector<NamedTensor> moments() const;
  // Copies a checkpoint's values in. Throws Error naming the file and the tensor: missing,
  // unexpected, or of another shape or dtype.
  void restore(const Safetensors& masters, const Safetensors& moments, int64_t steps);

 private:
  struct Entry {
    Param* param;
    ParamGroup group;
    ops::AdamwTensors tensors;
  };

  OptimizerRecipe recipe_;
  std::vector<Entry> entries_;
  int64_t steps_ = 0;
};

}  // namespace sambay
