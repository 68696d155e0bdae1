// The innermost tile of a matrix product: mr x nr sums held in registers.
#pragma once

#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/simd/multiply.h"
#include "ops/cpu/simd/pack.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// The tile fills the register file: rows x 2 sums, two vectors of b, one broadcast of a. With 32
// registers 14 x 2 keeps 28 multiply-adds in flight for 16 loads; with 16 registers, 6 x 2 for 8.
#if defined(__AVX512F__)
constexpr int64_t tile_rows = 14;
#elif defined(__AVX2__)
constexpr int64_t tile_rows = 6;
#else
constexpr int64_t tile_rows = 4;
#endif
constexpr int64_t tile_vecs = 2;
constexpr int64_t tile_columns = tile_vecs * vec_lanes;

struct TileF32 {
  using Word = float;
  using Operand = Vec;
  static Operand load_words(const Word* p) { return load(p); }
  static Operand broadcast_word(const Word* p) { return broadcast(*p); }
  static Vec madd(Operand a, Operand b, Vec sum) { return multiply_add(a, b, sum); }
};

#if defined(__AVX512BF16__)
struct TilePairs {
  using Word = uint32_t;
  using Operand = __m512i;
  static Operand load_words(const Word* p) { return _mm512_loadu_si512(p); }
  static Operand broadcast_word(const Word* p) {
    return _mm512_set1_epi32(static_cast<int32_t>(*p));
  }
  static Vec madd(Operand a, Operand b, Vec sum) { return StepPairs::madd(a, b, sum); }
};
using TileBf16 = TilePairs;
#else
using TileBf16 = TileF32;
#endif

inline void finish_row(const GemmTile& tile, int64_t row, const float* sums, int64_t columns) {
  const int64_t at = row * tile.c_stride;
  if (tile.c_is_bf16) {
    auto* c = static_cast<uint16_t*>(tile.c) + at;
    for (int64_t j = 0; j < columns; ++j) {
      c[j] = round_to_bf16(sums[j]);
    }
    return;
  }
  auto* c = static_cast<float*>(tile.c) + at;
  if (tile.accumulate) {
    for (int64_t j = 0; j < columns; ++j) {
      c[j] += sums[j];
    }
  } else {
    for (int64_t j = 0; j < columns; ++j) {
      c[j] = sums[j];
    }
  }
}

template <class T, int Rows>
void multiply_rows(const GemmTile& tile) {
  const auto* a = static_cast<const typename T::Word*>(tile.a);
  const auto* b = static_cast<const typename T::Word*>(tile.b);
  Vec sums[Rows][tile_vecs];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < tile_vecs; ++v) {
      sums[r][v] = zero_vec();
    }
  }
  for (int64_t g = 0; g < tile.groups; ++g) {
    typename T::Operand columns[tile_vecs];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vecs; ++v) {
      columns[v] = T::load_words(b + v * vec_lanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto row = T::broadcast_word(a + r);
#pragma GCC unroll 4
      for (int v = 0; v < tile_vecs; ++v) {
        sums[r][v] = T::madd(row, columns[v], sums[r][v]);
      }
    }
    a += Rows;
    b += tile_columns;
  }
  alignas(64) float bias[tile_columns] = {};
  if (tile.bias != nullptr) {
    for (int64_t j = 0; j < tile.columns; ++j) {
      bias[j] = tile.bias[j];
    }
  }
  const Vec alpha = broadcast(tile.alpha);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    alignas(64) float row[tile_columns];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vecs; ++v) {
      store(row + v * vec_lanes, multiply_add(alpha, sums[r][v], load(bias + v * vec_lanes)));
    }
    if (tile.columns == tile_columns) {
      finish_row(tile, r, row, tile_columns);
    } else {
      finish_row(tile, r, row, tile.columns);
    }
  }
}

template <class T, int Rows = tile_rows>
void multiply_tile(const GemmTile& tile) {
  if (tile.rows == Rows) {
    multiply_rows<T, Rows>(tile);
  } else if constexpr (Rows > 1) {
    multiply_tile<T, Rows - 1>(tile);
  }
}

template <class P, class T>
constexpr GemmKernel gemm_kernel() {
  return {tile_rows, tile_columns,    P::k_group, sizeof(typename P::Word) / P::k_group,
          pack<P>,   multiply_tile<T>};
}

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
