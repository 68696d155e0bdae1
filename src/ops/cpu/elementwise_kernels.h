#pragma once

#include "ops/cpu/rows.h"

namespace sambay::ops {

// Operands of f32 or bf16 each; those that a kernel does not name are unused, results may be
// absent.
struct ElementwiseArguments {
  ConstRows a, b, c;
  Rows out, out2;
  int64_t width = 0;
  float scale = 1.0F;
};

struct RopeArguments {
  ConstRows x;
  Rows out;
  int64_t x_head_stride = 0, out_head_stride = 0;
  int64_t heads = 0, width = 0;
  const float* turns = nullptr;  // (T, width): cosines, then sines
};

// Each works on the rows [begin, end).
struct ElementwiseKernels {
  using Kernel = void (*)(const ElementwiseArguments& work, int64_t begin, int64_t end);
  Kernel silu_mul;           // out = silu(a) b
  Kernel silu_mul_backward;  // out = c b silu'(a), out2 = c silu(a)
  Kernel add_scaled;         // out = a + scale b, a may be absent
  void (*rope)(const RopeArguments& work, int64_t begin, int64_t end);
};

}  // namespace sambay::ops
