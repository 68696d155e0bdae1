// Matrix products: the one op that the matrix peak bounds.
#pragma once

#include "tensor/tensor.h"

namespace sambay::ops {

struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;  // c += ...; c must then be f32 (or f64)
  float alpha = 1.0F;       // scales the product, not what c held
};

// c (M, N) = alpha * op(a) op(b), op(a) (M, K), op(b) (K, N). a and b have one dtype of f64, f32,
// bf16; c has f64 for f64, else f32 or bf16. Products are accumulated in fp32 (f64 in f64). Outer
// strides are free, c aliases neither operand. The bits of c depend on shapes, instruction set and,
// never, on the number of threads. Throws Error "[matmul] ..." on a shape or dtype that does not
// fit.
void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options = {});

// out (T, O) = x (T, I) weight^T (O, I) + bias (O). x and weight share a dtype; bias is f32 (f64)
// or undefined; out as c above. One row, or a few, run as matrix-vector products at the speed of
// memory. Counts weight as Cost::weight_bytes.
void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out);

// d_x (T, I) = d_out weight; d_weight (O, I) += d_out^T x; d_bias (O) += column sums of d_out. Any
// of the three results may be undefined and is then not computed. d_out has x's dtype; d_weight and
// d_bias are f32 (f64).
void linear_backward(const Tensor& x, const Tensor& weight, const Tensor& d_out, const Tensor& d_x,
                     const Tensor& d_weight, const Tensor& d_bias);

}  // namespace sambay::ops
