#pragma once

#include "ops/cpu/rows.h"

namespace sambay::ops {

struct NormArguments {
  ConstRows x;
  const float* weight = nullptr;
  const float* bias = nullptr;  // layer norm, forward
  bool centred = false;         // layer norm
  float eps = 0.0F;
  int64_t width = 0;
};

struct NormKernels {
  void (*forward)(const NormArguments& work, int64_t begin, int64_t end, Rows out);
  // d_weight and d_bias (null in RMS norm) are added to.
  void (*backward)(const NormArguments& work, int64_t begin, int64_t end, ConstRows d_out, Rows d_x,
                   float* d_weight, float* d_bias);
  // out += the sum of `count` arrays of n numbers, in order.
  void (*add_parts)(const float* parts, int64_t count, int64_t part_stride, int64_t n, float* out);
};

}  // namespace sambay::ops
