// How scales of quantized weights are looked for. Plain data: included by files of every
// instruction set.
#pragma once

#include <cstdint>

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
// Groups of x that are smaller are zero.
constexpr float smallest_input = 0x1p-100F;

}  // namespace sambay::ops
