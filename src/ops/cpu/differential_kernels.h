// The table of kernels of the differential step, one row of one pair of heads at a time.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace sambay::ops {

struct DifferentialRow {
  int64_t width = 0;  // 2 d
  float lambda = 0;
  float gain = 1;  // 1 - lambda_init
  float eps = 0;
  const float* subln = nullptr;  // (width)
};

struct DifferentialScratch {
  float* o = nullptr;        // (width)
  float* d_subln = nullptr;  // (width), added to
};

struct DifferentialKernels {
  // `o` (width) is scratch.
  void (*forward)(const DifferentialRow& row, DType dtype, const void* a1, const void* a2, float* o,
                  void* out);
  // Returns this row's part of lambda's gradient.
  float (*backward)(const DifferentialRow& row, DType dtype, const void* a1, const void* a2,
                    const void* d_out, const DifferentialScratch& scratch, void* d_a1, void* d_a2);
};

}  // namespace sambay::ops
