// Matrix products on the CPU: blocking, packing, threads and workspace. What depends on the
// instruction set stands in matmul_kernels.h.
#pragma once

#include <cstdint>

#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/quantized_linear_kernels.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// c (m, n) = alpha * a (m, k) b (k, n) + bias (n) (+ c). Strides in elements: any for a and b, c's
// rows are contiguous. Operands f32 or bf16, bias f32, c f32 or bf16; accumulate wants c in f32.
struct Product {
  int64_t m, n, k;
  DType dtype;
  const void* a;
  int64_t a_row, a_k;
  const void* b;
  int64_t b_k, b_column;
  void* c;
  int64_t c_row;
  DType c_dtype;
  const float* bias = nullptr;
  float alpha = 1;
  bool accumulate = false;
  // In place of b, if not null: the rows of a quantized matrix are its columns, and pack_quantized
  // makes panels of them for the dtype's GemmKernel.
  const QuantizedRows* quantized = nullptr;
  void (*pack_quantized)(const QuantizedPanel& panel) = nullptr;
};

// Who multiplies more than a few rows of bf16: `kernels`, or oneDNN on the tile unit.
enum class TileUnit { none, onednn };

// Workspace comes from the arena. On a meta arena only the workspace is taken and given back. The
// bits of c do not depend on the number of threads.
void multiply(const Product& product, const MatmulKernels& kernels, Arena& arena,
              TileUnit tiles = TileUnit::none);

// sums[j] += column sums of x (rows, columns), f32 or bf16.
void add_column_sums(const Tensor& x, float* sums, const MatmulKernels& kernels);

}  // namespace sambay::ops
