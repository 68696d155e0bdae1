// How the attention kernels lay out a block of queries and read a block of keys.
#pragma once

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/simd/ints.h"
#include "ops/cpu/simd/panel.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

template <class Element>
SAMBAY_INLINE int64_t units_of(int64_t count) {
  return in_pairs<Element> ? (count + 1) / 2 : count;
}

// Row `lane` of a (queries, heads, dim) operand of the block.
template <class Element>
SAMBAY_INLINE const Element* lane_row(const QueryBlock& block, const Element* from, int64_t stride,
                                      int64_t head_stride, int lane) {
  return from + lane / block.heads * stride + lane % block.heads * head_stride;
}

// A row of bf16 with a zero behind it if its length is odd.
SAMBAY_INLINE void copy_even(const Bf16* from, int64_t count, Bf16* to) {
  for_lanes(count, [&](int64_t i, auto n) { store(to + i, load(from + i, n), n); });
  if (count % 2 != 0) {
    to[count] = Bf16{0};
  }
}

// to (units, 64): the rows of the block turned into lanes, lanes up to width() filled with zeros.
// `rows` (64, dim) floats is for rows that cannot be read in place.
template <class Element>
static void pack_lanes(const QueryBlock& block, const Element* from, int64_t stride,
                       int64_t head_stride, int64_t dim, float* rows, float* to) {
  const int count = block.rows();
  const int64_t units = units_of<Element>(dim);
  const Element* row[attention_lanes];
  for (int lane = 0; lane < count; ++lane) {
    row[lane] = lane_row(block, from, stride, head_stride, lane);
  }
  const auto at = [&](int64_t lane) { return row[lane]; };
  if constexpr (sizeof(Element) == sizeof(float)) {
    transpose(at, count, units, to, attention_lanes);
  } else if (in_pairs<Element> && dim % 2 == 0) {
    transpose([&](int64_t lane) { return reinterpret_cast<const float*>(at(lane)); }, count, units,
              to, attention_lanes);
  } else {
    for (int lane = 0; lane < count; ++lane) {
      if constexpr (in_pairs<Element>) {
        copy_even(at(lane), dim, reinterpret_cast<Bf16*>(rows + lane * units));
      } else {
        copy_row(at(lane), dim, rows + lane * units);
      }
    }
    transpose([&](int64_t lane) { return rows + lane * units; }, count, units, to, attention_lanes);
  }
  if (count < block.width()) {
    for (int64_t u = 0; u < units; ++u) {
      store_zeros(to + u * attention_lanes + count, block.width() - count);
    }
  }
}

// `count` rows as the broadcast operand of a sum over dim; `copy` (64, dim) floats if need be.
template <class Element>
SAMBAY_INLINE Broadcast broadcast_rows(const Element* from, int64_t stride, int64_t dim, int count,
                                       float* copy) {
  constexpr auto size = static_cast<int64_t>(sizeof(Element));
  if constexpr (sizeof(Element) == sizeof(float)) {
    return {reinterpret_cast<const char*>(from), stride * size, 4};
  } else if (in_pairs<Element> && dim % 2 == 0) {
    return {reinterpret_cast<const char*>(from), stride * size, 4};
  } else {
    const int64_t units = units_of<Element>(dim);
    for (int j = 0; j < count; ++j) {
      if constexpr (in_pairs<Element>) {
        copy_even(from + j * stride, dim, reinterpret_cast<Bf16*>(copy + j * units));
      } else {
        copy_row(from + j * stride, dim, copy + j * units);
      }
    }
    return {reinterpret_cast<const char*>(copy), units * 4, 4};
  }
}

// The same rows as the broadcast operand of a sum over the rows: element x is row x of the result.
// `copy` (64, padded16(dim)) floats if need be.
template <class Element>
SAMBAY_INLINE Broadcast broadcast_columns(const Element* from, int64_t stride, int64_t dim,
                                          int count, float* copy) {
  if constexpr (sizeof(Element) == sizeof(float)) {
    return {reinterpret_cast<const char*>(from), 4, stride * 4};
  } else {
    const int64_t width = padded16(dim);
    if constexpr (in_pairs<Element>) {
      for (int j = 0; j < count; j += 2) {
        const Element* row = from + j * stride;
        interleave(row, j + 1 < count ? row + stride : nullptr, dim, width, copy + j / 2 * width);
      }
    } else {
      for (int j = 0; j < count; ++j) {
        copy_row(from + j * stride, dim, copy + j * width);
      }
    }
    return {reinterpret_cast<const char*>(copy), 4, width * 4};
  }
}

// `rows` rows of `width` pairs of bf16 as twice as many rows of floats: each pair's two under each
// other.
SAMBAY_INLINE void widen_pairs(const Bf16* from, int64_t rows, int64_t width, float* to) {
  for (int64_t r = 0; r < rows; ++r, from += 2 * width, to += 2 * width) {
    for (int64_t x = 0; x < width; ++x) {
      uint32_t pair;
      __builtin_memcpy(&pair, from + 2 * x, sizeof pair);
      const uint32_t first = pair << 16, second = pair & 0xffff0000U;
      __builtin_memcpy(to + x, &first, sizeof first);
      __builtin_memcpy(to + width + x, &second, sizeof second);
    }
  }
}

// Keys of a tile from key `begin` on as the broadcast operand of a sum over dim, as broadcast_rows
// has it; `copy` (dim rounded up to even, 64) floats if need be.
template <class Element>
SAMBAY_INLINE Broadcast broadcast_tile_keys(const Element* keys, int64_t begin, int64_t dim,
                                            float* copy) {
  const void* from = keys;
  if constexpr (sizeof(Element) != sizeof(float) && !in_pairs<Element>) {
    widen_pairs(keys, (dim + 1) / 2, tile_keys, copy);
    from = copy;
  }
  return {static_cast<const char*>(from) + begin * 4, 4, tile_keys * 4};
}

// A block of `width` columns of their values as the broadcast operand of a sum over the keys, as
// broadcast_columns has it; `begin` is even if Elements come in pairs. `copy` (64, width) floats if
// need be.
template <class Element>
SAMBAY_INLINE Broadcast broadcast_tile_values(const Element* values, int64_t begin, int64_t width,
                                              float* copy) {
  const void* from = values;
  if constexpr (sizeof(Element) != sizeof(float) && !in_pairs<Element>) {
    widen_pairs(values, tile_keys / 2, width, copy);
    from = copy;
  }
  const int64_t unit = in_pairs<Element> ? 2 : 1;
  return {static_cast<const char*>(from) + begin / unit * width * 4, 4, width * 4};
}

// Which keys of a block a lane sees: those at offsets j with after < j < before.
struct VisibleKeys {
  bool all = true;
  float after[attention_lanes], before[attention_lanes];
};

SAMBAY_INLINE void find_visible(const QueryBlock& block, int64_t first_key, int count,
                                VisibleKeys& visible) {
  const int64_t last = block.first + block.queries - 1;
  visible.all = first_key + count - 1 <= block.first && last - first_key < block.window;
  if (visible.all) {
    return;
  }
  const auto clamped = [&](int64_t j) {
    return static_cast<float>(j < -1 ? -1 : j > count ? count : j);
  };
  for (int lane = 0; lane < block.width(); ++lane) {
    const int64_t here = block.first + lane / block.heads - first_key;
    visible.after[lane] = clamped(here - block.window);
    visible.before[lane] = clamped(here + 1);
  }
}

// 64 bits of two vectors: unit n is the pair (a[n], b[n]) in bf16.
SAMBAY_INLINE Vec pair_up(Vec a, Vec b) {
#if defined(__AVX512BF16__)
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(b.v, a.v);
  const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves));
  const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(halves, 1));
  return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
#else
  (void)b;
  return a;
#endif
}

// `rows` rows of `width` fours of u8 (ops/kv_tiles.h) as the numbers that they stand for, but for
// their scale: four times as many rows of floats, or twice as many of pairs of bf16.
template <bool pairs>
SAMBAY_INLINE void widen_fours(const uint8_t* from, int64_t rows, int64_t width, float* to) {
  for (int64_t r = 0; r < rows; ++r, from += 4 * width) {
    for (int64_t x = 0; x < width; x += lanes) {
      const Ints four = load_ints(from + 4 * x);
      const auto number = [](Ints shifted) {
        return to_float(minus(masked(shifted, 0xff), KvTile::offset8));
      };
      const Vec a = number(four), b = number(shifted<8>(four));
      const Vec c = number(shifted<16>(four)), d = number(shifted<24>(four));
      if constexpr (pairs) {
        store(to + x, pair_up(a, b));
        store(to + width + x, pair_up(c, d));
      } else {
        store(to + x, a);
        store(to + width + x, b);
        store(to + 2 * width + x, c);
        store(to + 3 * width + x, d);
      }
    }
    to += (pairs ? 2 : 4) * width;
  }
}

SAMBAY_INLINE float first_lane(Vec a) {
  float all[lanes];
  store(all, a);
  return all[0];
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
