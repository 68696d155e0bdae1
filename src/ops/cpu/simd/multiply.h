// The multiply-add step of matrix products in the instruction set being compiled for: vectors of
// f32, and what one step takes from f32, from bf16 widened to f32, or from pairs of bf16.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

#if defined(__AVX512F__)

using Vec = __m512;
constexpr int64_t vec_lanes = 16;
inline Vec zero_vec() {
  return _mm512_setzero_ps();
}
inline Vec broadcast(float x) {
  return _mm512_set1_ps(x);
}
inline Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline void store(float* p, Vec v) {
  _mm512_storeu_ps(p, v);
}
inline Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vec load_bf16(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

#elif defined(__AVX2__)

using Vec = __m256;
constexpr int64_t vec_lanes = 8;
inline Vec zero_vec() {
  return _mm256_setzero_ps();
}
inline Vec broadcast(float x) {
  return _mm256_set1_ps(x);
}
inline Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
inline void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v);
}
inline Vec add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline Vec load_bf16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

#else

// Four lanes of the compiler's own vectors: SSE2 or NEON. Product and sum round separately.
using Vec = float __attribute__((vector_size(16)));
constexpr int64_t vec_lanes = 4;
inline Vec zero_vec() {
  return Vec{};
}
inline Vec broadcast(float x) {
  return Vec{x, x, x, x};
}
inline Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline void store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof(v));
}
inline Vec add(Vec a, Vec b) {
  return a + b;
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {
  return a * b + c;
}
inline Vec load_bf16(const uint16_t* p) {
  using Bits = uint32_t __attribute__((vector_size(16)));
  const Bits bits = {p[0], p[1], p[2], p[3]};
  return reinterpret_cast<Vec>(bits << 16);
}

#endif

inline float widen(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  __builtin_memcpy(&x, &wide, sizeof(x));
  return x;
}

// To nearest, ties to even; NaN stays NaN. As to_bf16, and without a branch.
inline uint16_t round_to_bf16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  const uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  const uint32_t quiet_nan = bits | 0x400000U;
  return static_cast<uint16_t>(((bits & 0x7fffffffU) > 0x7f800000U ? quiet_nan : rounded) >> 16);
}

// A step multiplies vectors of `width` source elements and adds neighbours until vec_lanes sums
// remain.
struct StepF32 {
  using Source = float;
  using Operand = Vec;
  static constexpr int64_t width = vec_lanes;
  static Operand load_source(const Source* p) { return load(p); }
  static Vec madd(Operand a, Operand b, Vec sum) { return multiply_add(a, b, sum); }
};

struct StepWidened {
  using Source = uint16_t;
  using Operand = Vec;
  static constexpr int64_t width = vec_lanes;
  static Operand load_source(const Source* p) { return load_bf16(p); }
  static Vec madd(Operand a, Operand b, Vec sum) { return multiply_add(a, b, sum); }
};

#if defined(__AVX512BF16__)
struct StepPairs {
  using Source = uint16_t;
  using Operand = __m512i;
  static constexpr int64_t width = 2 * vec_lanes;
  static Operand load_source(const Source* p) { return _mm512_loadu_si512(p); }
  static Vec madd(Operand a, Operand b, Vec sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};
using StepBf16 = StepPairs;
#else
using StepBf16 = StepWidened;
#endif

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
