// 16 lanes. Included by vec.h only.
#pragma once

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

constexpr int lanes = 16;

struct Vec {
  __m512 v;
};
struct Mask {
  __mmask16 m;
};

SAMBAY_INLINE __mmask16 first_lanes(int n) {
  return static_cast<__mmask16>((1U << n) - 1U);
}
SAMBAY_INLINE __m512 widened(__m256i half) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
SAMBAY_INLINE __m256i narrowed(__m512 x) {
#if defined(__AVX512BF16__)
  // The instruction flushes denormals to zero: the only difference from the generic rounding.
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i nearest = _mm512_add_epi32(bits, bias);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __m512i rounded = _mm512_mask_mov_epi32(nearest, nan, quiet);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#endif
}

SAMBAY_INLINE Vec set1(float x) {
  return {_mm512_set1_ps(x)};
}
SAMBAY_INLINE Vec load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
SAMBAY_INLINE Vec load(const Bf16* p) {
  return {widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
SAMBAY_INLINE Vec load_n(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
SAMBAY_INLINE Vec load_n(const Bf16* p, int n) {
  return {widened(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
}
SAMBAY_INLINE void store(float* p, Vec a) {
  _mm512_storeu_ps(p, a.v);
}
SAMBAY_INLINE void store(Bf16* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrowed(a.v));
}
SAMBAY_INLINE void store_n(float* p, Vec a, int n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}
SAMBAY_INLINE void store_n(Bf16* p, Vec a, int n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), narrowed(a.v));
}

SAMBAY_INLINE Vec operator+(Vec a, Vec b) {
  return {_mm512_add_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator-(Vec a, Vec b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator*(Vec a, Vec b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator/(Vec a, Vec b) {
  return {_mm512_div_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
SAMBAY_INLINE Vec fnma(Vec a, Vec b, Vec c) {
  return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
}
SAMBAY_INLINE Vec min(Vec a, Vec b) {
  return {_mm512_min_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec max(Vec a, Vec b) {
  return {_mm512_max_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec sqrt(Vec a) {
  return {_mm512_sqrt_ps(a.v)};
}
SAMBAY_INLINE Vec round(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
SAMBAY_INLINE Vec abs(Vec a) {
  return {_mm512_andnot_ps(_mm512_set1_ps(-0.0F), a.v)};
}
SAMBAY_INLINE Vec scale2(Vec a, Vec n) {
  return {_mm512_scalef_ps(a.v, n.v)};
}
SAMBAY_INLINE Vec scale2_normal(Vec a, Vec n) {
  return scale2(a, n);
}
SAMBAY_INLINE Mask less_than(Vec a, Vec b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
SAMBAY_INLINE bool any(Mask m) {
  return m.m != 0;
}
SAMBAY_INLINE Vec select(Mask m, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(m.m, no.v, yes.v)};
}
SAMBAY_INLINE Vec split(Vec x, Vec& exponent) {
  // getmant with interval [3/4, 3/2) would do; the shared polynomial wants [sqrt(1/2), sqrt(2)).
  const __m512 scaled = _mm512_mul_ps(x.v, _mm512_set1_ps(1.41421356F));
  exponent.v = _mm512_getexp_ps(scaled);
  return {_mm512_scalef_ps(x.v, _mm512_sub_ps(_mm512_setzero_ps(), exponent.v))};
}
SAMBAY_INLINE float sum(Vec a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
SAMBAY_INLINE void store_sums(float* out, Vec a, Vec b, Vec c, Vec d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a.v, b.v), _mm512_unpackhi_ps(a.v, b.v));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c.v, d.v), _mm512_unpackhi_ps(c.v, d.v));
  // Each 128 bits: (a, b, c, d) summed over their lanes.
  const __m512 all =
      _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
}
SAMBAY_INLINE float max_lane(Vec a) {
  return _mm512_reduce_max_ps(a.v);
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
