// What an instruction set contributes to quantizing weights, and how scales are looked for. Plain
// data: files compiled for special instruction sets include this.
#pragma once

#include <cstdint>

#include "ops/quantized_layout.h"

namespace sambay::ops {

// A group's scale is tried as its largest weight over first_divisor, + step, ... In 4 bits a
// negative scale has the one integer more, -8, on the side of positive weights.
struct QuantizationLevels {
  float low, high;
  float first_divisor, step;
  int divisors;
  bool both_signs;
};

constexpr QuantizationLevels quantization_levels8 = {-127, 127, 126, 0.5F, 5, false};
constexpr QuantizationLevels quantization_levels4 = {-8, 7, 5, 0.25F, 15, true};
[[gnu::always_inline]] constexpr QuantizationLevels quantization_levels(int bits) {
  return bits == 8 ? quantization_levels8 : quantization_levels4;
}

// Each takes the scale of least squares for the integers found so far.
constexpr int quantization_refinements = 2;

// Scales below are zero: their inverse would overflow, and some instructions flush denormals.
constexpr float smallest_scale = 0x1p-126F;
// One block of 16 rows from weights (rows <= 16, columns), `stride` apart. Adds squares of what
// changed to *difference, of weights to *size.
struct QuantizeBlock {
  const float* weights;
  int64_t stride, rows, columns;
  int bits;
  uint8_t* block;
  double *difference, *size;
};

struct QuantizeKernels {
  void (*quantize_block)(const QuantizeBlock& block);
};

}  // namespace sambay::ops
