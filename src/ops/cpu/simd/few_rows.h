// Products with a few rows of x: vectors run along k, so that row-major weights stream through once
// without packing. And column sums.
#pragma once

#include "ops/cpu/matmul_kernels.h"
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
      sums[r][c] = set1(0.0F);
    }
  }
  int64_t k = 0;
  for (; k + S::width <= p.k; k += S::width) {
    typename S::Operand weights[Columns];
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      weights[c] = S::operand(w + c * p.w_stride + k);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto values = S::operand(x + r * p.x_stride + k);
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) {
        sums[r][c] = S::add_product(values, weights[c], sums[r][c]);
      }
    }
  }
  if (k < p.k) {
    typename S::Operand weights[Columns];
    for (int c = 0; c < Columns; ++c) {
      weights[c] = S::first(w + c * p.w_stride + k, static_cast<int>(p.k - k));
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto values = S::first(x + r * p.x_stride + k, static_cast<int>(p.k - k));
#pragma GCC unroll 16
      for (int c = 0; c < Columns; ++c) {
        sums[r][c] = S::add_product(values, weights[c], sums[r][c]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int c = 0; c < Columns; ++c) {
      put(p, row + r, column + c, sum(sums[r][c]));
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
  constexpr int block = lanes >= 16 ? 4 : 2;
  int64_t column = 0;
  for (; column + block <= p.columns; column += block) {
    few_rows_block<S, block>(p, column);
  }
  for (; column < p.columns; ++column) {
    few_rows_block<S, 1>(p, column);
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
