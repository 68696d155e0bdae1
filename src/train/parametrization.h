// Learning rates and weight decay of each parameter: SP, muP and muP++ (spec section 11).
#pragma once

#include "model/config.h"
#include "nn/param.h"

namespace sambay {

// What a base learning rate was tuned for, and what this run is.
struct LearningRateScaling {
  Parametrization parametrization = Parametrization::mup_pp;
  int64_t depth = 16, base_depth = 16;             // L, d0
  double batch_tokens = 0, base_batch_tokens = 0;  // b, b0; b0 = 0: no scaling by the batch
};

// eta = eta0 sqrt(b / b0), in muP++ also times sqrt(d0 / L).
double scaled_learning_rate(double base, const LearningRateScaling& scaling);

struct ParamGroup {
  double learning_rate = 1;  // multiplies eta
  double weight_decay = 0;
};

// muP++: hidden matrices learn at eta d0 / L and decay, all else (embedding, head, filters, norms,
// biases, scalars of scans) learns at eta and does not; muP: the same rates, all decay; SP: eta,
// all decay.
ParamGroup param_group(Role role, const LearningRateScaling& scaling, double weight_decay);

}  // namespace sambay
