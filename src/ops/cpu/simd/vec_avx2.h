// 8 lanes. Included by vec.h only.
#pragma once

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

constexpr int lanes = 8;

struct Vec {
  __m256 v;
};
struct Mask {
  __m256 m;
};

SAMBAY_INLINE __m256i first_lanes(int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}
SAMBAY_INLINE __m256 widened(__m128i half) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
SAMBAY_INLINE __m128i narrowed(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i nearest = _mm256_add_epi32(bits, bias);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i rounded = _mm256_srli_epi32(_mm256_blendv_epi8(nearest, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

SAMBAY_INLINE Vec set1(float x) {
  return {_mm256_set1_ps(x)};
}
SAMBAY_INLINE Vec load(const float* p) {
  return {_mm256_loadu_ps(p)};
}
SAMBAY_INLINE Vec load(const Bf16* p) {
  return {widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
SAMBAY_INLINE Vec load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, first_lanes(n))};
}
SAMBAY_INLINE Vec load_n(const Bf16* p, int n) {
  Bf16 part[lanes] = {};
  for (int i = 0; i < n; ++i) {
    part[i] = p[i];
  }
  return load(part);
}
SAMBAY_INLINE void store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.v);
}
SAMBAY_INLINE void store(Bf16* p, Vec a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrowed(a.v));
}
SAMBAY_INLINE void store_n(float* p, Vec a, int n) {
  _mm256_maskstore_ps(p, first_lanes(n), a.v);
}
SAMBAY_INLINE void store_n(Bf16* p, Vec a, int n) {
  Bf16 part[lanes];
  store(part, a);
  for (int i = 0; i < n; ++i) {
    p[i] = part[i];
  }
}

SAMBAY_INLINE Vec operator+(Vec a, Vec b) {
  return {_mm256_add_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator-(Vec a, Vec b) {
  return {_mm256_sub_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator*(Vec a, Vec b) {
  return {_mm256_mul_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec operator/(Vec a, Vec b) {
  return {_mm256_div_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
SAMBAY_INLINE Vec fnma(Vec a, Vec b, Vec c) {
  return {_mm256_fnmadd_ps(a.v, b.v, c.v)};
}
SAMBAY_INLINE Vec min(Vec a, Vec b) {
  return {_mm256_min_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec max(Vec a, Vec b) {
  return {_mm256_max_ps(a.v, b.v)};
}
SAMBAY_INLINE Vec sqrt(Vec a) {
  return {_mm256_sqrt_ps(a.v)};
}
SAMBAY_INLINE Vec round(Vec a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
SAMBAY_INLINE Vec abs(Vec a) {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)};
}
SAMBAY_INLINE __m256 power_of_two(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
// In two steps, so that results may be denormal or infinite: |n| <= 252.
SAMBAY_INLINE Vec scale2(Vec a, Vec n) {
  const __m256i whole = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, half);
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, power_of_two(half)), power_of_two(rest))};
}
SAMBAY_INLINE Vec scale2_normal(Vec a, Vec n) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n.v), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), exponent))};
}
SAMBAY_INLINE Mask less_than(Vec a, Vec b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)};
}
SAMBAY_INLINE bool any(Mask m) {
  return _mm256_movemask_ps(m.m) != 0;
}
SAMBAY_INLINE Vec select(Mask m, Vec yes, Vec no) {
  return {_mm256_blendv_ps(no.v, yes.v, m.m)};
}
SAMBAY_INLINE Vec split(Vec x, Vec& exponent) {
  constexpr int sqrt_half = 0x3f3504f3;
  const __m256i bits = _mm256_castps_si256(x.v);
  const __m256i n = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(sqrt_half)), 23);
  exponent.v = _mm256_cvtepi32_ps(n);
  return {_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(n, 23)))};
}
SAMBAY_INLINE float sum(Vec a) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
SAMBAY_INLINE void store_sums(float* out, Vec a, Vec b, Vec c, Vec d) {
  const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v));
  const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c.v, d.v), _mm256_unpackhi_ps(c.v, d.v));
  // Each 128 bits: (a, b, c, d) summed over their lanes.
  const __m256 all =
      _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
SAMBAY_INLINE float max_lane(Vec a) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
