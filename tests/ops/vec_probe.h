// The functions of vec.h, callable from a test at each instruction set.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace sambay::ops {

struct VecProbe {
  using Map = void (*)(const float* x, float* out, int64_t count);
  int lanes;
  Map exp, exp2_fraction, log, log1p, softplus, sigmoid;
  void (*to_bf16)(const float* x, Bf16* out, int64_t count);
  void (*to_float)(const Bf16* x, float* out, int64_t count);
  float (*sum)(const float* x, int64_t count);
  float (*max_lane)(const float* x);  // of `lanes` values
};

}  // namespace sambay::ops
