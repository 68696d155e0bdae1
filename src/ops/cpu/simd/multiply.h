// One step of a sum of products, as the instruction set being compiled for does it: f32, bf16
// widened to f32, or pairs of bf16.
#pragma once

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

// A step multiplies `width` elements and leaves their sums in `lanes` lanes.
template <class T>
struct WidenedStep {
  using Source = T;
  using Operand = Vec;
  static constexpr int width = lanes;
  [[gnu::always_inline]] static inline Operand operand(const Source* p) { return load(p); }
  [[gnu::always_inline]] static inline Operand first(const Source* p, int n) {
    return load_n(p, n);
  }
  [[gnu::always_inline]] static inline Vec add_product(Operand a, Operand b, Vec sum) {
    return fma(a, b, sum);
  }
};
using StepF32 = WidenedStep<float>;

#if defined(__AVX512BF16__)
// Both products of a pair are added to the sum in fp32 by one instruction. It rounds to nearest
// even and takes denormals for zero, whatever the mode.
struct StepBf16 {
  using Source = Bf16;
  using Operand = __m512i;
  static constexpr int width = 2 * lanes;
  [[gnu::always_inline]] static inline Operand operand(const Source* p) {
    return _mm512_loadu_si512(p);
  }
  [[gnu::always_inline]] static inline Operand first(const Source* p, int n) {
    return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1ULL << n) - 1), p);
  }
  [[gnu::always_inline]] static inline Vec add_product(Operand a, Operand b, Vec sum) {
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)a, (__m512bh)b)};
  }
};
#else
using StepBf16 = WidenedStep<Bf16>;
#endif

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
