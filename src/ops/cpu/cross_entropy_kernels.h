#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace sambay::ops {

struct LogitSums {
  float max;
  double sum;      // of the logits
  double sum_exp;  // of e^(logit - max)
};

// out = e^(logit - max) / sum_exp - smoothed, and less `hit` at the target.
struct LogitGradient {
  float max, inverse_sum_exp, smoothed, hit;
  int64_t target;
};

struct CrossEntropyKernels {
  LogitSums (*sums)(const float* logits, int64_t count);
  // out may be the logits themselves.
  void (*gradient)(const float* logits, int64_t count, const LogitGradient& gradient, float* out);
  void (*gradient_bf16)(const float* logits, int64_t count, const LogitGradient& gradient,
                        Bf16* out);
};

}  // namespace sambay::ops
