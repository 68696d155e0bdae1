// Products with a few rows of x: vectors run along k, so that row-major weights stream through once
// without packing. And column sums.
#pragma once

#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/simd/multiply.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// The last elements of a row, zeros behind them.
template <class S>
typename S::Operand load_partial(const typename S::Source* p, int64_t count) {
  typename S::Source padded[S::width] = {};
  for (int64_t i = 0; i < count; ++i) {
    padded[i] = p[i];
  }
  return S::load_source(padded);
}

inline float sum_lanes(Vec v) {
  alignas(64) float lanes[vec_lanes];
  store(lanes, v);
  for (int64_t half = vec_lanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) {
      lanes[i] += lanes[i + half];
    }
  }
  return lanes[0];
}

inline void put(const FewRows& p, int64_t row, int64_t column, float sum) {
  float value = p.alpha * sum + (p.bias != nullptr ? p.bias[column] : 0.0F);
  const int64_t at = row * p.c_stride + column;
  if (p.c_is_bf16) {
    static_cast<uint16_t*>(p.c)[at] = round_to_bf16(value);
  } else {
    auto* c = static_cast<float*>(p.c) + at;
    *c = p.accumulate ? *c + value : value;
  }
}

// One sum per (row, column), so that its order is the same in every tile shape.
template <class S, int Rows, int Columns>
void few_rows_tile(const FewRows& p, int64_t row, int64_t column) {
  const auto* x = static_cast<const typename S::Source*>(p.x) + row * p.x_stride;
  const auto* w = static_cast<const typename S::Source*>(p.w) + column * p.w_stride;
  Vec sums[Rows][Columns];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      sums[r][c] = zero_vec();
    }
  }
  int64_t k = 0;
  for (; k + S::width <= p.k; k += S::width) {
    typename S::Operand weights[Columns];
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      weights[c] = S::load_source(w + c * p.w_stride + k);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto values = S::load_source(x + r * p.x_stride + k);
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) {
        sums[r][c] = S::madd(values, weights[c], sums[r][c]);
      }
    }
  }
  if (k < p.k) {
    typename S::Operand weights[Columns];
    for (int c = 0; c < Columns; ++c) {
      weights[c] = load_partial<S>(w + c * p.w_stride + k, p.k - k);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto values = load_partial<S>(x + r * p.x_stride + k, p.k - k);
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) {
        sums[r][c] = S::madd(values, weights[c], sums[r][c]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      put(p, row + r, column + c, sum_lanes(sums[r][c]));
    }
  }
}

// Rows in fours: the weights of one block of columns come from memory for the first four and from
// the cache for the others.
template <class S, int Columns>
void few_rows_block(const FewRows& p, int64_t column) {
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) {
    few_rows_tile<S, 4, Columns>(p, row, column);
  }
  switch (p.rows - row) {
    case 1:
      few_rows_tile<S, 1, Columns>(p, row, column);
      break;
    case 2:
      few_rows_tile<S, 2, Columns>(p, row, column);
      break;
    case 3:
      few_rows_tile<S, 3, Columns>(p, row, column);
      break;
    default:
      break;
  }
}

template <class S>
void few_rows(const FewRows& p) {
  constexpr int block = vec_lanes >= 16 ? 4 : 2;
  int64_t column = 0;
  for (; column + block <= p.columns; column += block) {
    few_rows_block<S, block>(p, column);
  }
  for (; column < p.columns; ++column) {
    few_rows_block<S, 1>(p, column);
  }
}

// Partial sums of 64 rows are added to the total: the rounding error grows with rows / 64 + 64.
template <class S>
void column_sums(const ColumnSums& p) {
  constexpr int64_t run = 64;
  const auto* x = static_cast<const typename S::Source*>(p.x);
  int64_t column = 0;
  for (; column + S::width <= p.columns; column += S::width) {
    Vec total = zero_vec();
    for (int64_t begin = 0; begin < p.rows; begin += run) {
      const int64_t end = begin + run < p.rows ? begin + run : p.rows;
      Vec part = zero_vec();
      for (int64_t row = begin; row < end; ++row) {
        part = add(part, S::load_source(x + row * p.x_stride + column));
      }
      total = add(total, part);
    }
    store(p.sums + column, add(load(p.sums + column), total));
  }
  if (column < p.columns) {
    Vec total = zero_vec();
    const int64_t rest = p.columns - column;
    for (int64_t begin = 0; begin < p.rows; begin += run) {
      const int64_t end = begin + run < p.rows ? begin + run : p.rows;
      Vec part = zero_vec();
      for (int64_t row = begin; row < end; ++row) {
        part = add(part, load_partial<S>(x + row * p.x_stride + column, rest));
      }
      total = add(total, part);
    }
    alignas(64) float sums[vec_lanes];
    store(sums, total);
    for (int64_t j = 0; j < rest; ++j) {
      p.sums[column + j] += sums[j];
    }
  }
}

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
