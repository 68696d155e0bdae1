// Small dense products and the layouts they want, for attention's blocks of at most 64 by 64.
//
// Everything is counted in units of four bytes: one float, or at the levels with a bf16 dot product
// two neighbours along the summed index. A product is c[i][n] (+)= sum_u a(i, u) . b[u][n]: a is
// broadcast unit by unit and so may lie anyhow in memory, b has its lanes side by side.
#pragma once

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

#if defined(__AVX512BF16__)
constexpr bool has_bf16_dot = true;
#else
constexpr bool has_bf16_dot = false;
#endif

// How an Element takes part in products: bf16 in pairs where the level can, otherwise widened.
template <class Element>
constexpr bool in_pairs = false;
template <>
inline constexpr bool in_pairs<Bf16> = has_bf16_dot;

template <bool pairs>
SAMBAY_INLINE Vec multiply_add(const char* a, Vec b, Vec c) {
#if defined(__AVX512BF16__)
  if constexpr (pairs) {
    int unit;
    __builtin_memcpy(&unit, a, sizeof unit);
    return {_mm512_dpbf16_ps(c.v, (__m512bh)_mm512_set1_epi32(unit),
                             (__m512bh)_mm512_castps_si512(b.v))};
  }
#endif
  float unit;
  __builtin_memcpy(&unit, a, sizeof unit);
  return fma(set1(unit), b, c);
}

// Strides of a in bytes: between rows, and between units along the sum.
struct Broadcast {
  const char* at;
  int64_t row, step;
};

#if defined(__AVX512F__)
// 24 sums, 4 vectors of b: with a folded into the instruction 29 of 32 registers.
constexpr int tile_rows = 6, tile_vectors = 4;
#else
constexpr int tile_rows = 6, tile_vectors = 2;
#endif

template <bool pairs, int rows, int vectors>
SAMBAY_INLINE void tile(Broadcast a, const float* b, int64_t b_stride, int64_t steps, float* c,
                        int64_t c_stride, bool add) {
  // Unrolled by name wherever sums are touched: an index that is not constant would put them into
  // memory.
  Vec sums[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) {
      sums[i][n] = add ? load(c + i * c_stride + n * lanes) : set1(0.0F);
    }
  }
  for (int64_t u = 0; u < steps; ++u) {
    Vec across[vectors];
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) {
      across[n] = load(b + u * b_stride + n * lanes);
    }
    const char* down = a.at + u * a.step;
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 8
      for (int n = 0; n < vectors; ++n) {
        sums[i][n] = multiply_add<pairs>(down + i * a.row, across[n], sums[i][n]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < vectors; ++n) {
      store(c + i * c_stride + n * lanes, sums[i][n]);
    }
  }
}

// One column of tiles: all rows of c, `vectors` vectors wide.
template <bool pairs, int vectors>
static void tile_column(Broadcast a, int64_t rows, const float* b, int64_t b_stride, int64_t steps,
                        float* c, int64_t c_stride, bool add) {
  const auto advance = [&](int by) {
    a.at += by * a.row;
    c += by * c_stride;
    rows -= by;
  };
  // 7 and 8 rows split into two good tiles rather than into a full one and a sliver.
  while (rows >= tile_rows && rows != 7 && rows != 8) {
    tile<pairs, tile_rows, vectors>(a, b, b_stride, steps, c, c_stride, add);
    advance(tile_rows);
  }
  if (rows >= 4) {
    tile<pairs, 4, vectors>(a, b, b_stride, steps, c, c_stride, add);
    advance(4);
  }
  switch (rows) {
    case 4:
      tile<pairs, 4, vectors>(a, b, b_stride, steps, c, c_stride, add);
      break;
    case 3:
      tile<pairs, 3, vectors>(a, b, b_stride, steps, c, c_stride, add);
      break;
    case 2:
      tile<pairs, 2, vectors>(a, b, b_stride, steps, c, c_stride, add);
      break;
    case 1:
      tile<pairs, 1, vectors>(a, b, b_stride, steps, c, c_stride, add);
      break;
    default:
      break;
  }
}

// c (rows, width) = or += a b; width is a multiple of 16.
template <bool pairs>
static void product(Broadcast a, int64_t rows, const float* b, int64_t b_stride, int64_t steps,
                    float* c, int64_t c_stride, int64_t width, bool add) {
  int64_t n = 0;
  for (; n + tile_vectors * lanes <= width; n += tile_vectors * lanes) {
    tile_column<pairs, tile_vectors>(a, rows, b + n, b_stride, steps, c + n, c_stride, add);
  }
  for (; n < width; n += lanes) {
    tile_column<pairs, 1>(a, rows, b + n, b_stride, steps, c + n, c_stride, add);
  }
}

#if defined(__AVX512F__)
// to[u * to_stride + r] = from[r][u] for 16 rows of 16 units; rows and units beyond the counts are
// read as zero and not written.
SAMBAY_INLINE void transpose_tile(const float* const* from, int rows, int units, float* to,
                                  int64_t to_stride) {
  __m512 x[16], y[16];
  for (int r = 0; r < 16; ++r) {
    x[r] = r < rows ? _mm512_maskz_loadu_ps(first_lanes(units), from[r]) : _mm512_setzero_ps();
  }
  for (int r = 0; r < 16; r += 2) {
    y[r] = _mm512_unpacklo_ps(x[r], x[r + 1]);
    y[r + 1] = _mm512_unpackhi_ps(x[r], x[r + 1]);
  }
  for (int r = 0; r < 16; r += 4) {
    for (int half = 0; half < 2; ++half) {
      x[r + 2 * half] = _mm512_shuffle_ps(y[r + half], y[r + 2 + half], 0x44);
      x[r + 2 * half + 1] = _mm512_shuffle_ps(y[r + half], y[r + 2 + half], 0xee);
    }
  }
  // x[4 g + u] holds, in each 128-bit lane l, unit 4 l + u of rows 4 g to 4 g + 3.
  for (int u = 0; u < 4; ++u) {
    const __m512 even = _mm512_shuffle_f32x4(x[u], x[4 + u], 0x88);
    const __m512 odd = _mm512_shuffle_f32x4(x[u], x[4 + u], 0xdd);
    const __m512 even_high = _mm512_shuffle_f32x4(x[8 + u], x[12 + u], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(x[8 + u], x[12 + u], 0xdd);
    y[u] = _mm512_shuffle_f32x4(even, even_high, 0x88);
    y[8 + u] = _mm512_shuffle_f32x4(even, even_high, 0xdd);
    y[4 + u] = _mm512_shuffle_f32x4(odd, odd_high, 0x88);
    y[12 + u] = _mm512_shuffle_f32x4(odd, odd_high, 0xdd);
  }
  for (int u = 0; u < 16; ++u) {
    if (u < units) {
      _mm512_mask_storeu_ps(to + u * to_stride, first_lanes(rows), y[u]);
    }
  }
}
#else
SAMBAY_INLINE void transpose_tile(const float* const* from, int rows, int units, float* to,
                                  int64_t to_stride) {
  for (int u = 0; u < units; ++u) {
    for (int r = 0; r < rows; ++r) {
      __builtin_memcpy(to + u * to_stride + r, from[r] + u, sizeof(float));
    }
  }
}
#endif

// to (units, rows) = transpose of the rows that row_at(0), ... point to, unit by unit.
template <class RowAt>
SAMBAY_INLINE void transpose(RowAt row_at, int64_t rows, int64_t units, float* to,
                             int64_t to_stride) {
  for (int64_t r = 0; r < rows; r += 16) {
    const int some_rows = static_cast<int>(rows - r < 16 ? rows - r : 16);
    for (int64_t u = 0; u < units; u += 16) {
      const float* at[16];
      for (int i = 0; i < some_rows; ++i) {
        at[i] = row_at(r + i) + u;
      }
      transpose_tile(at, some_rows, static_cast<int>(units - u < 16 ? units - u : 16),
                     to + u * to_stride + r, to_stride);
    }
  }
}

SAMBAY_INLINE void copy_row(const float* from, int64_t count, float* to) {
  for_lanes(count, [&](int64_t i, auto n) { store(to + i, load(from + i, n), n); });
}
SAMBAY_INLINE void copy_row(const Bf16* from, int64_t count, float* to) {
  for_lanes(count, [&](int64_t i, auto n) { store(to + i, load(from + i, n), n); });
}

SAMBAY_INLINE void store_zeros(float* to, int64_t count) {
  for_lanes(count, [&](int64_t i, auto n) { store(to + i, set1(0.0F), n); });
}

// Pairs (a[x], b[x]) for x in [0, count), zeros up to `padded`; b may be null, which reads as
// zeros.
SAMBAY_INLINE void interleave(const Bf16* a, const Bf16* b, int64_t count, int64_t padded,
                              float* to) {
#if defined(__AVX512BF16__)
  for (int64_t x = 0; x < padded; x += 16) {
    const int64_t left = count - x;
    const __mmask16 mask =
        left >= 16 ? __mmask16{0xffff} : first_lanes(left > 0 ? static_cast<int>(left) : 0);
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, a + x));
    const __m512i high = b == nullptr
                             ? _mm512_setzero_si512()
                             : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, b + x));
    const __m512i both = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
    const int64_t room = padded - x;
    _mm512_mask_storeu_epi32(
        to + x, room >= 16 ? __mmask16{0xffff} : first_lanes(static_cast<int>(room)), both);
  }
#else
  (void)a, (void)b, (void)count, (void)padded, (void)to;
#endif
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
