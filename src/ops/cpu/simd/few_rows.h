// Products with a few rows of x: vectors run along k, so that row-major weights stream through once
// without packing. And column sums.
#pragma once

#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/simd/fetch.h"
#include "ops/cpu/simd/multiply.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

inline void put(const FewRows& p, int64_t row, int64_t column, float sum) {
  float value = p.alpha * sum + (p.bias != nullptr ? p.bias[column] : 0.0F);
  const int64_t at = row * p.c_stride + column;
  if (p.c_is_bf16) {
    store_n(static_cast<Bf16*>(p.c) + at, set1(value), 1);
  } else {
    auto* c = static_cast<float*>(p.c) + at;
    *c = p.accumulate ? *c + value : value;
  }
}

// Columns of weights that share the x in L1, the longest piece of their k (one page of x holds four
// rows of it in bf16), and rows that share a load of weights.
constexpr int few_rows_columns = 16;
constexpr int64_t few_rows_piece_bytes = 2048;
// An x of at most so many bytes leaves enough of L1 to what streams through.
constexpr int64_t streamed_x_bytes = 10 << 10;
constexpr int few_rows_rows = 4;
constexpr int few_rows_limit = 16;

// One sum of vectors per (row, column), so that its order is the same in every shape of tile.
struct FewRowsGroup {
  Vec sums[few_rows_columns][few_rows_limit];
  Fetch fetch;  // the next group's weights
};

struct FewRowsTile {
  int64_t row, column, k_begin, k_end;
  int64_t passes;  // over the same weights: each fetches its share
};

template <class S, int Rows, int Columns>
void few_rows_tile(const FewRows& p, const FewRowsTile& tile, FewRowsGroup& group) {
  using Source = typename S::Source;
  const auto* x = static_cast<const Source*>(p.x) + tile.row * p.x_stride;
  const auto* w = static_cast<const Source*>(p.w) + tile.column * p.w_stride;
  const auto first_column = static_cast<int>(tile.column % few_rows_columns);
  Vec sums[Rows][Columns];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      sums[r][c] = tile.k_begin == 0 ? set1(0.0F) : group.sums[first_column + c][tile.row + r];
    }
  }
  const auto step = [&](auto load_operand) __attribute__((always_inline)) {
    typename S::Operand weights[Columns];
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      weights[c] = load_operand(w + c * p.w_stride);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto values = load_operand(x + r * p.x_stride);
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) {
        sums[r][c] = S::add_product(values, weights[c], sums[r][c]);
      }
    }
  };
  Fetch fetch = group.fetch;
  int64_t k = tile.k_begin, until_fetch = 1;
  for (; k + S::width <= tile.k_end; k += S::width) {
    if (Columns > 1 && --until_fetch == 0) {
      until_fetch = tile.passes;
      fetch.lines<Columns>();
    }
    step([&](const auto* at) { return S::operand(at + k); });
  }
  if (k < tile.k_end) {
    step([&](const auto* at) { return S::first(at + k, static_cast<int>(tile.k_end - k)); });
  }
  group.fetch = fetch;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      if (tile.k_end == p.k) {
        put(p, tile.row + r, tile.column + c, sum(sums[r][c]));
      } else {
        group.sums[first_column + c][tile.row + r] = sums[r][c];
      }
    }
  }
}

template <class S, int Columns>
void few_rows_passes(const FewRows& p, FewRowsTile tile, FewRowsGroup& group) {
  tile.passes = (p.rows + few_rows_rows - 1) / few_rows_rows;
  for (tile.row = 0; tile.row < p.rows; tile.row += few_rows_rows) {
    switch (p.rows - tile.row) {
      case 1:
        few_rows_tile<S, 1, Columns>(p, tile, group);
        break;
      case 2:
        few_rows_tile<S, 2, Columns>(p, tile, group);
        break;
      case 3:
        few_rows_tile<S, 3, Columns>(p, tile, group);
        break;
      default:
        few_rows_tile<S, 4, Columns>(p, tile, group);
        break;
    }
  }
}

// Weights read as they lie, one row of them after the other: the hardware's prefetcher follows such
// a stream by itself, and any help only disturbs it.
template <class S, int Rows>
void stream(const FewRows& p) {
  const auto* x = static_cast<const typename S::Source*>(p.x);
  const auto* w = static_cast<const typename S::Source*>(p.w);
  for (int64_t column = 0; column < p.columns; ++column, w += p.w_stride) {
    Vec sums[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      sums[r] = set1(0.0F);
    }
    int64_t k = 0;
    for (; k + S::width <= p.k; k += S::width) {
      const auto weights = S::operand(w + k);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        sums[r] = S::add_product(S::operand(x + r * p.x_stride + k), weights, sums[r]);
      }
    }
    if (const auto rest = static_cast<int>(p.k - k); rest > 0) {
      const auto weights = S::first(w + k, rest);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        sums[r] = S::add_product(S::first(x + r * p.x_stride + k, rest), weights, sums[r]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      put(p, r, column, sum(sums[r]));
    }
  }
}

template <class S>
void few_rows(const FewRows& p) {
  constexpr int wide = lanes >= 16 ? 4 : 2;
  constexpr auto source_bytes = static_cast<int64_t>(sizeof(typename S::Source));
  constexpr int64_t piece = few_rows_piece_bytes / source_bytes;
  const int64_t row_bytes = p.k * source_bytes;
  if (p.rows * row_bytes <= streamed_x_bytes) {
    switch (p.rows) {
      case 1:
        stream<S, 1>(p);
        return;
      case 2:
        stream<S, 2>(p);
        return;
      case 3:
        stream<S, 3>(p);
        return;
      case 4:
        stream<S, 4>(p);
        return;
      default:
        break;
    }
  }
  const auto* w = static_cast<const typename S::Source*>(p.w);
  FewRowsGroup group;
  // The `count` columns from `column` on, as far as they are multiplied next.
  const auto fetch = [&](int64_t column, int64_t count) {
    const int64_t left = p.columns + p.columns_ahead - column;
    group.fetch = {w + column * p.w_stride, p.w_stride, p.k, left < count ? left : count};
  };
  // A long x is shared by as many columns as sums hide the latency of memory.
  constexpr int long_wide = 2 * wide;
  if (p.rows == 1) {
    int64_t column = 0;
    for (; column + long_wide <= p.columns; column += long_wide) {
      fetch(column + long_wide, long_wide);
      few_rows_passes<S, long_wide>(p, {0, column, 0, p.k, 1}, group);
    }
    for (; column < p.columns; ++column) {
      few_rows_passes<S, 1>(p, {0, column, 0, p.k, 1}, group);
    }
    return;
  }
  for (int64_t begin = 0; begin < p.columns; begin += few_rows_columns) {
    const int64_t end = begin + few_rows_columns < p.columns ? begin + few_rows_columns : p.columns;
    fetch(end, few_rows_columns);
    for (int64_t k = 0; k == 0 || k < p.k; k += piece) {
      const int64_t k_end = k + piece < p.k ? k + piece : p.k;
      int64_t column = begin;
      for (; column + wide <= end; column += wide) {
        few_rows_passes<S, wide>(p, {0, column, k, k_end, 1}, group);
      }
      for (; column < end; ++column) {
        few_rows_passes<S, 1>(p, {0, column, k, k_end, 1}, group);
      }
    }
  }
}

// Partial sums of 64 rows are added to the total: the rounding error grows with rows / 64 + 64.
template <class T>
void column_sums(const ColumnSums& p) {
  constexpr int64_t run = 64;
  const auto* x = static_cast<const T*>(p.x);
  for_lanes(p.columns, [&](int64_t column, auto part) {
    Vec total = load(p.sums + column, part);
    for (int64_t begin = 0; begin < p.rows; begin += run) {
      const int64_t end = begin + run < p.rows ? begin + run : p.rows;
      Vec sum = set1(0.0F);
      for (int64_t row = begin; row < end; ++row) {
        sum = sum + load(x + row * p.x_stride + column, part);
      }
      total = total + sum;
    }
    store(p.sums + column, total, part);
  });
}

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
