// Exact sums of products of 8-bit inputs with quantized weights, and the weights themselves, as
// the instruction set being compiled for makes them. After vec.h.
#pragma once

#include "ops/cpu/quantized_linear_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

// `Ints` holds `lanes` integers, a row of weights each. A line is 64 bytes: four neighbours along k
// of each of 16 rows, in 4 bits two fours: that of the lower halves of the bytes comes first.
//   load_ints(p); to_float; shifted<n>(v) = v >> n; masked(v, m) = v & m; minus(v, c) = v - c.
//   group_sum<bits>(w, x): sums over a group for the `lanes` rows whose lines begin at w.

SAMBAY_INLINE int32_t load_four(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof four);
  return four;
}

constexpr int64_t quantized_line = 64;
template <int bits>
constexpr int64_t record_bytes = bits == 8 ? quantized_record_bytes8 : quantized_record_bytes4;
template <int bits>
constexpr int64_t group_bytes = bits == 8 ? quantized_group_bytes8 : quantized_group_bytes4;
constexpr int fours = static_cast<int>(quantized_group / 4);

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

#if defined(__AVX512VNNI__)

// Unsigned weights times signed inputs; what the weights' offset adds is taken off at the start.
// Two sums, so that no instruction waits for the one before. The upper halves of bytes are
// multiplied where they stand: their sum is 16 times too large.
template <int bits>
SAMBAY_INLINE Ints group_sum(const uint8_t* w, const QuantizedInput& x) {
  __m512i a = _mm512_set1_epi32(x.correction), b = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int i = 0; i < fours; i += 2) {
    const __m512i x_a = _mm512_set1_epi32(load_four(x.q + 4 * i));
    const __m512i x_b = _mm512_set1_epi32(load_four(x.q + 4 * i + 4));
    if constexpr (bits == 8) {
      a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(w + i * quantized_line), x_a);
      b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(w + (i + 1) * quantized_line), x_b);
    } else {
      __m512i both = _mm512_loadu_si512(w + i / 2 * quantized_line);
      asm("" : "+v"(both));  // or the compiler loads it for each half
      a = _mm512_dpbusd_epi32(a, _mm512_and_si512(both, _mm512_set1_epi8(0x0f)), x_a);
      b = _mm512_dpbusd_epi32(b, _mm512_and_si512(both, _mm512_set1_epi8(-16)), x_b);
    }
  }
  return {_mm512_add_epi32(a, bits == 8 ? b : _mm512_srai_epi32(b, 4))};
}

#elif defined(__AVX2__)

#if defined(__AVX512F__)
using Bytes = __m512i;
SAMBAY_INLINE Bytes load_bytes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
SAMBAY_INLINE Bytes broadcast_four(const int8_t* q) {
  return _mm512_set1_epi32(load_four(q));
}
SAMBAY_INLINE Bytes lower(Bytes a) {
  return _mm512_and_si512(a, _mm512_set1_epi8(0x0f));
}
SAMBAY_INLINE Bytes upper(Bytes a) {
  return lower(_mm512_srli_epi16(a, 4));
}
SAMBAY_INLINE Bytes without_offset(Bytes a) {
  return _mm512_xor_si512(a, _mm512_set1_epi8(-128));
}
SAMBAY_INLINE Bytes size_of_bytes(Bytes a) {
  return _mm512_abs_epi8(a);
}
SAMBAY_INLINE Bytes with_sign_of(Bytes x, Bytes sign) {
  return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(sign), _mm512_setzero_si512(), x);
}
SAMBAY_INLINE Bytes multiply_pairs(Bytes without_sign, Bytes with_sign) {
  return _mm512_maddubs_epi16(without_sign, with_sign);
}
SAMBAY_INLINE Bytes add16(Bytes a, Bytes b) {
  return _mm512_add_epi16(a, b);
}
SAMBAY_INLINE Bytes add32(Bytes a, Bytes b) {
  return _mm512_add_epi32(a, b);
}
SAMBAY_INLINE Bytes add_neighbours(Bytes a) {
  return _mm512_madd_epi16(a, _mm512_set1_epi16(1));
}
SAMBAY_INLINE Bytes broadcast32(int32_t x) {
  return _mm512_set1_epi32(x);
}
#else
using Bytes = __m256i;
SAMBAY_INLINE Bytes load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
SAMBAY_INLINE Bytes broadcast_four(const int8_t* q) {
  return _mm256_set1_epi32(load_four(q));
}
SAMBAY_INLINE Bytes lower(Bytes a) {
  return _mm256_and_si256(a, _mm256_set1_epi8(0x0f));
}
SAMBAY_INLINE Bytes upper(Bytes a) {
  return lower(_mm256_srli_epi16(a, 4));
}
SAMBAY_INLINE Bytes without_offset(Bytes a) {
  return _mm256_xor_si256(a, _mm256_set1_epi8(-128));
}
SAMBAY_INLINE Bytes size_of_bytes(Bytes a) {
  return _mm256_abs_epi8(a);
}
SAMBAY_INLINE Bytes with_sign_of(Bytes x, Bytes sign) {
  return _mm256_sign_epi8(x, sign);
}
SAMBAY_INLINE Bytes multiply_pairs(Bytes without_sign, Bytes with_sign) {
  return _mm256_maddubs_epi16(without_sign, with_sign);
}
SAMBAY_INLINE Bytes add16(Bytes a, Bytes b) {
  return _mm256_add_epi16(a, b);
}
SAMBAY_INLINE Bytes add32(Bytes a, Bytes b) {
  return _mm256_add_epi32(a, b);
}
SAMBAY_INLINE Bytes add_neighbours(Bytes a) {
  return _mm256_madd_epi16(a, _mm256_set1_epi16(1));
}
SAMBAY_INLINE Bytes broadcast32(int32_t x) {
  return _mm256_set1_epi32(x);
}
#endif

// Pairs of products in 16 bits. 8-bit weights keep their sign, which goes to x: at most
// 2 * 128 * 127 = 32512. In 4 bits a whole group fits: 8 * 2 * 15 * 127 = 30480.
template <int bits>
SAMBAY_INLINE Ints group_sum(const uint8_t* w, const QuantizedInput& x) {
  if constexpr (bits == 8) {
    Bytes sum = broadcast32(0);
#pragma GCC unroll 8
    for (int i = 0; i < fours; ++i) {
      const Bytes weights = without_offset(load_bytes(w + i * quantized_line));
      const Bytes inputs = with_sign_of(broadcast_four(x.q + 4 * i), weights);
      sum = add32(sum, add_neighbours(multiply_pairs(size_of_bytes(weights), inputs)));
    }
    return {sum};
  } else {
    Bytes sum = broadcast32(0);
#pragma GCC unroll 8
    for (int i = 0; i < fours; i += 2) {
      const Bytes both = load_bytes(w + i / 2 * quantized_line);
      sum = add16(sum, multiply_pairs(lower(both), broadcast_four(x.q + 4 * i)));
      sum = add16(sum, multiply_pairs(upper(both), broadcast_four(x.q + 4 * i + 4)));
    }
    return {add32(add_neighbours(sum), broadcast32(x.correction))};
  }
}

#else

template <int bits>
SAMBAY_INLINE Ints group_sum(const uint8_t* w, const QuantizedInput& x) {
  Int4 sum = Int4{} + x.correction;
  for (int i = 0; i < fours; ++i) {
    Int4 line = load_ints(w + (bits == 8 ? i : i / 2) * quantized_line).v;
    line = bits == 4 && i % 2 == 1 ? line >> 4 : line;
    for (int k = 0; k < 4; ++k) {
      sum += (line & (bits == 8 ? 0xff : 0x0f)) * int32_t{x.q[4 * i + k]};
      line = line >> 8;
    }
  }
  return {sum};
}

#endif

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
