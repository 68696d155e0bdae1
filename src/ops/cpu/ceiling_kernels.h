// The loops that the ceilings are measured with. Plain data: files compiled for special instruction
// sets include this.
#pragma once

#include <cstdint>

namespace sambay::ops {

// A loop of `steps` steps returns how many operations it did; its result goes to *sink, so that the
// loop cannot be left out.
struct CeilingKernels {
  double (*f32)(int64_t steps, float* sink);
  double (*bf16)(int64_t steps, float* sink);
  float (*read)(const float* data, int64_t count);
};

}  // namespace sambay::ops
