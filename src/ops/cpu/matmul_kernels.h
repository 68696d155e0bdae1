// What an instruction set contributes to matrix products. Plain data: files compiled for special
// instruction sets include this.
#pragma once

#include <cstdint>

namespace sambay::ops {

// A tile of c = alpha * a b + bias (+ c) from one packed panel of a and one of b.
struct GemmTile {
  int64_t rows, columns;  // at most GemmKernel::mr, nr
  int64_t groups;         // packed depth: k / k_group, rounded up
  const void* a;          // (groups, rows, k_group)
  const void* b;          // (groups, nr, k_group), zero beyond `columns`
  void* c;
  int64_t c_stride;
  const float* bias;  // `columns` values or null
  float alpha;
  bool c_is_bf16, accumulate;
};

// Where packing reads: element (lane, k) stands at source + lane * lane_stride + k * k_stride.
struct PackPanel {
  const void* source;
  int64_t lane_stride, k_stride;
  int64_t lanes, k;  // what there is
  int64_t width;     // lanes of the panel: those beyond `lanes` become zero
  void* packed;      // (ceil(k / k_group), width, k_group); k beyond the end becomes zero
};

struct GemmKernel {
  int64_t mr, nr;         // largest tile
  int64_t k_group;        // neighbours in k that are packed side by side
  int64_t element_bytes;  // of a packed element
  void (*pack)(const PackPanel& panel);
  void (*multiply)(const GemmTile& tile);
};

// c (rows, columns) = alpha * x (rows, k) w (columns, k)^T + bias (+ c), for a few rows of x: every
// row of w is read once, in order. The bits of a row of c do not depend on how many rows there are.
struct FewRows {
  const void* x;
  const void* w;
  void* c;
  const float* bias;
  int64_t x_stride, w_stride, c_stride;
  int64_t rows, columns;
  int64_t columns_ahead;  // behind them, to be multiplied next: may be fetched
  int64_t k;
  float alpha;
  bool c_is_bf16, accumulate;
};

// sums[j] += column sums of x (rows, columns).
struct ColumnSums {
  const void* x;
  int64_t x_stride, rows, columns;
  float* sums;
};

struct MatmulKernels {
  GemmKernel gemm_f32, gemm_bf16;
  void (*few_rows_f32)(const FewRows& product);
  void (*few_rows_bf16)(const FewRows& product);
  void (*column_sums_f32)(const ColumnSums& sums);
  void (*column_sums_bf16)(const ColumnSums& sums);
};

}  // namespace sambay::ops
