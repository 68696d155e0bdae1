// Vectors of 32-bit integers, for kernels that unpack smaller ones.
#pragma once

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

// `Ints` holds `lanes` integers.
//   load_ints(p); to_float; shifted<n>(v) = v >> n; masked(v, m) = v & m; minus(v, c) = v - c;
//   from_high_halves, from_low_halves: the floats that two bf16 stand for; store_int8(p, x) stores
//   whole numbers.

// Four bytes, as an instruction takes them that multiplies by four neighbours.
SAMBAY_INLINE int32_t load_four(const void* bytes) {
  int32_t four;
  __builtin_memcpy(&four, bytes, sizeof four);
  return four;
}

#if defined(__AVX512F__)

struct Ints {
  __m512i v;
};
SAMBAY_INLINE Ints load_ints(const uint8_t* p) {
  return {_mm512_loadu_si512(p)};
}
SAMBAY_INLINE Vec to_float(Ints a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
template <int n>
SAMBAY_INLINE Ints shifted(Ints a) {
  return {_mm512_srli_epi32(a.v, n)};
}
SAMBAY_INLINE Ints masked(Ints a, int32_t mask) {
  return {_mm512_and_si512(a.v, _mm512_set1_epi32(mask))};
}
SAMBAY_INLINE Ints minus(Ints a, int32_t b) {
  return {_mm512_sub_epi32(a.v, _mm512_set1_epi32(b))};
}
SAMBAY_INLINE Vec from_high_halves(Ints a) {
  return {_mm512_castsi512_ps(_mm512_and_si512(a.v, _mm512_set1_epi32(-65536)))};
}
SAMBAY_INLINE Vec from_low_halves(Ints a) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(a.v, 16))};
}
SAMBAY_INLINE void store_int8(int8_t* p, Vec whole) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(whole.v)));
}

#elif defined(__AVX2__)

struct Ints {
  __m256i v;
};
SAMBAY_INLINE Ints load_ints(const uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
SAMBAY_INLINE Vec to_float(Ints a) {
  return {_mm256_cvtepi32_ps(a.v)};
}
template <int n>
SAMBAY_INLINE Ints shifted(Ints a) {
  return {_mm256_srli_epi32(a.v, n)};
}
SAMBAY_INLINE Ints masked(Ints a, int32_t mask) {
  return {_mm256_and_si256(a.v, _mm256_set1_epi32(mask))};
}
SAMBAY_INLINE Ints minus(Ints a, int32_t b) {
  return {_mm256_sub_epi32(a.v, _mm256_set1_epi32(b))};
}
SAMBAY_INLINE Vec from_high_halves(Ints a) {
  return {_mm256_castsi256_ps(_mm256_and_si256(a.v, _mm256_set1_epi32(-65536)))};
}
SAMBAY_INLINE Vec from_low_halves(Ints a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(a.v, 16))};
}
SAMBAY_INLINE void store_int8(int8_t* p, Vec whole) {
  const __m256i wide = _mm256_cvtps_epi32(whole.v);
  const __m128i half =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(half, half));
}

#else

struct Ints {
  Int4 v;
};
SAMBAY_INLINE Ints load_ints(const uint8_t* p) {
  Ints a;
  __builtin_memcpy(&a.v, p, sizeof a.v);
  return a;
}
SAMBAY_INLINE Vec to_float(Ints a) {
  return {__builtin_convertvector(a.v, Float4)};
}
template <int n>
SAMBAY_INLINE Ints shifted(Ints a) {
  return {a.v >> n};
}
SAMBAY_INLINE Ints masked(Ints a, int32_t mask) {
  return {a.v & mask};
}
SAMBAY_INLINE Ints minus(Ints a, int32_t b) {
  return {a.v - b};
}
SAMBAY_INLINE Vec from_high_halves(Ints a) {
  return {(Float4)(a.v & -65536)};
}
SAMBAY_INLINE Vec from_low_halves(Ints a) {
  return {(Float4)(a.v << 16)};
}
SAMBAY_INLINE void store_int8(int8_t* p, Vec whole) {
  for (int i = 0; i < lanes; ++i) {
    p[i] = static_cast<int8_t>(whole.v[i]);
  }
}

#endif

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
