// Element by element: gates, residual sums, casts, row selection. All (T, W), strided rows allowed,
// f64 / f32 / bf16; arithmetic in fp32 (f64 in f64).
#pragma once

#include "ops/quantized_matrix.h"
#include "ops/segments.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// out = silu(gate) * up: SwiGLU's inside, Mamba's z gate and the GMU (spec sections 2, 5, 8).
// out may be up or gate itself.
void silu_mul(const Tensor& gate, const Tensor& up, const Tensor& out);
// d_gate and d_up are overwritten; either may be undefined. They may alias d_out.
void silu_mul_backward(const Tensor& gate, const Tensor& up, const Tensor& d_out,
                       const Tensor& d_gate, const Tensor& d_up);

// out = x + scale * y; dtypes may differ. out may be x itself: the residual stream is added to in
// place.
void add_scaled(const Tensor& x, const Tensor& y, float scale, const Tensor& out);

// out = scale * x, any dtypes: cast, copy and scaling.
void scale_cast(const Tensor& x, float scale, const Tensor& out);

// out (wanted.rows(), W): of each segment of `all`, its last rows, as many as `wanted` has.
void select_rows(const Tensor& x, const Segments& all, const Segments& wanted, const Tensor& out);
// d_x (all.rows(), W): zero but for the selected rows, which get d_out.
void select_rows_backward(const Tensor& d_out, const Segments& all, const Segments& wanted,
                          const Tensor& d_x);

// out (T, D) = table[ids[t]]; out f32 (f64) or table's dtype. Throws Error naming the first id
// outside [0, V).
void embedding(std::span<const int32_t> ids, const Tensor& table, const Tensor& out);
// The same from a quantized table; out f32 or bf16.
void embedding(std::span<const int32_t> ids, const QuantizedMatrix& table, const Tensor& out);
// d_table (V, D) f32 (f64) += rows of d_out; rows of one id are summed in the order of t.
void embedding_backward(std::span<const int32_t> ids, const Tensor& d_out, const Tensor& d_table);

// Rotary positions (spec section 4, half split): each head of x (T, H, d) is turned by the angle of
// its row's position; inverse turns back, which is also the backward. out may be x.
void rope(const Tensor& x, const Segments& segments, double base, bool inverse, const Tensor& out);

}  // namespace sambay::ops
