// Exact sums of products of 8-bit inputs with quantized weights, and the weights themselves, as
// the instruction set being compiled for makes them.
#pragma once

#include "ops/cpu/quantized_linear_kernels.h"
#include "ops/cpu/simd/ints.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

// A line is 64 bytes: four neighbours along k of each of 16 rows, in 4 bits two fours: that of the
// lower halves of the bytes comes first.
//   group_sum<bits>(w, x): sums over a group for the `lanes` rows whose lines begin at w.

constexpr int64_t quantized_line = 64;
template <int bits>
constexpr int64_t record_bytes = bits == 8 ? quantized_record_bytes8 : quantized_record_bytes4;
template <int bits>
constexpr int64_t group_bytes = bits == 8 ? quantized_group_bytes8 : quantized_group_bytes4;
constexpr int fours = static_cast<int>(quantized_group / 4);

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
