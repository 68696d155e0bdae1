// RMS norm and layer norm over the last dimension (spec section 1).
#pragma once

#include "tensor/tensor.h"

namespace sambay::ops {

// out = x / sqrt(mean(x^2) + eps) * weight. x (T, D) f32, bf16 or f64; weight (D) f32 (f64); out
// (T, D) in any of x's dtypes (f64 only with f64). Statistics in fp32. x and out may have strided
// rows.
void rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out);

// d_x (T, D), overwritten, dtype of x; d_weight (D) += ..., f32 (f64). d_out has the dtype of out.
void rms_norm_backward(const Tensor& x, const Tensor& weight, float eps, const Tensor& d_out,
                       const Tensor& d_x, const Tensor& d_weight);

// out = (x - mean) / sqrt(var + eps) * weight + bias, biased variance. As rms_norm otherwise.
void layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps,
                const Tensor& out);
void layer_norm_backward(const Tensor& x, const Tensor& weight, float eps, const Tensor& d_out,
                         const Tensor& d_x, const Tensor& d_weight, const Tensor& d_bias);

}  // namespace sambay::ops
