// What cpu/isa/adamw.cc gives at each instruction set. Plain data only.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace sambay::ops {

// A stretch of one parameter. `compute` belongs to adamw_bf16 or adamw_f32; null there: no copy.
struct AdamwStretch {
  float* master;
  float* gradient;
  float* m;
  float* v;
  void* compute;
  int64_t count;
};

struct AdamwFactors {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float epsilon, decay, gradient_scale;
  float step_size;     // learning rate / (1 - beta1^step)
  float v_correction;  // 1 / (1 - beta2^step)
};

struct AdamwKernels {
  void (*adamw_f32)(const AdamwStretch&, const AdamwFactors&);
  void (*adamw_bf16)(const AdamwStretch&, const AdamwFactors&);
  double (*sum_of_squares)(const float* x, int64_t count);
};

}  // namespace sambay::ops
