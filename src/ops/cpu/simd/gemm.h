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
constexpr int64_t tile_columns = tile_vecs * lanes;

struct TileF32 {
  using Word = float;
  using Operand = Vec;
  static Operand load_words(const Word* p) { return load(p); }
  static Operand broadcast_word(const Word* p) { return set1(*p); }
  static Vec add_product(Operand a, Operand b, Vec sum) { return StepF32::add_product(a, b, sum); }
};

#if defined(__AVX512BF16__)
struct TilePairs {
  using Word = uint32_t;
  using Operand = __m512i;
  static Operand load_words(const Word* p) { return _mm512_loadu_si512(p); }
  static Operand broadcast_word(const Word* p) {
    return _mm512_set1_epi32(static_cast<int32_t>(*p));
  }
  static Vec add_product(Operand a, Operand b, Vec sum) { return StepBf16::add_product(a, b, sum); }
};
using TileBf16 = TilePairs;
#else
using TileBf16 = TileF32;
#endif

SAMBAY_INLINE void store_row(const GemmTile& tile, int64_t row, const Vec (&sums)[tile_vecs]) {
  const int64_t at = row * tile.c_stride;
  for (int v = 0; v < tile_vecs; ++v) {
    const int64_t column = v * lanes, rest = tile.columns - column;
    const int n = static_cast<int>(rest < lanes ? rest : lanes);
    if (n <= 0) {
      return;
    }
    if (tile.c_is_bf16) {
      auto* c = static_cast<Bf16*>(tile.c) + at + column;
      n == lanes ? store(c, sums[v]) : store_n(c, sums[v], n);
    } else {
      auto* c = static_cast<float*>(tile.c) + at + column;
      if (n == lanes) {
        store(c, tile.accumulate ? load(c) + sums[v] : sums[v]);
      } else {
        store_n(c, tile.accumulate ? load_n(c, n) + sums[v] : sums[v], n);
      }
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
      sums[r][v] = set1(0.0F);
    }
  }
  for (int64_t g = 0; g < tile.groups; ++g) {
    typename T::Operand columns[tile_vecs];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vecs; ++v) {
      columns[v] = T::load_words(b + v * lanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto row = T::broadcast_word(a + r);
#pragma GCC unroll 4
      for (int v = 0; v < tile_vecs; ++v) {
        sums[r][v] = T::add_product(row, columns[v], sums[r][v]);
      }
    }
    a += Rows;
    b += tile_columns;
  }
  Vec bias[tile_vecs] = {};
  if (tile.bias != nullptr) {
    for (int v = 0; v < tile_vecs && v * lanes < tile.columns; ++v) {
      const int64_t rest = tile.columns - v * lanes;
      bias[v] = load_n(tile.bias + v * lanes, static_cast<int>(rest < lanes ? rest : lanes));
    }
  }
  const Vec alpha = set1(tile.alpha);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < tile_vecs; ++v) {
      sums[r][v] = fma(alpha, sums[r][v], bias[v]);
    }
    store_row(tile, r, sums[r]);
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
