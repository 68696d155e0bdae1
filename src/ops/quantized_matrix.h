// Matrices of weights in 8 or 4 bits: groups of 32 along a row share a scale
// (docs/quantization.md).
#pragma once

#include "ops/quantized_layout.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// A view of rows (rows, columns), as a Tensor is one.
struct QuantizedMatrix {
  Tensor data;            // u8, the blocks of 16 rows that hold them
  int bits = 0;           // 8 or 4
  int64_t first_row = 0;  // of the rows in the first block
  int64_t rows = 0, columns = 0;

  // What `data` must be for a whole matrix: (blocks, records, bytes of a record).
  static Shape stored_shape(int64_t rows, int64_t columns, int bits);
  // Uninitialised.
  static QuantizedMatrix empty(int64_t rows, int64_t columns, int bits, Arena& arena);

  bool defined() const { return data.defined(); }
  size_t bytes() const { return data.bytes(); }
  Shape shape() const { return {rows, columns}; }
  QuantizedMatrix slice(int64_t begin, int64_t end) const;
  // The kernels' view.
  QuantizedRows view() const;
};

// Sums of squares over weights: of what quantization changed, and of the weights themselves.
struct QuantizationError {
  double difference = 0, size = 0;

  QuantizationError& operator+=(const QuantizationError& other);
  double relative() const;  // |difference| / |weights|, 0 for weights of zero
};

// out = weights (rows, columns), f32 or bf16, in out.bits. The scale of a group is the bf16 number
// that makes its squared error smallest among the quotients of the largest weight by some
// divisors, and what least squares makes of the best. The same weights give the same bytes at
// every instruction set. Whole matrices only. Throws Error naming row and column of a weight that
// is not finite or not below 2^60.
QuantizationError quantize(const Tensor& weights, const QuantizedMatrix& out);

// out (rows, columns), f32 or bf16 = the weights that the matrix stands for.
void dequantize(const QuantizedMatrix& matrix, const Tensor& out);

}  // namespace sambay::ops
