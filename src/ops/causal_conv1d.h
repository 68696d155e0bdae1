// Depthwise causal convolution with an optional silu (spec sections 5 to 7).
#pragma once

#include <span>

#include "ops/segments.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// out[t, e] = act(bias[e] + sum_j weight[e, j] * x[t - (W - 1) + j, e]) within each segment, zeros
// before a sequence's start. x, out (T, E) f64 / f32 / bf16, strided rows allowed; weight (E, W), W
// <= 8; bias (E) or undefined; both f32 (f64). states[s], if states is not empty and the entry not
// null: the last W - 1 inputs (W - 1, E) f32 (f64) of segment s's sequence, oldest first, read and
// then brought up to date.
void causal_conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, bool silu,
                   const Segments& segments, std::span<void* const> states, const Tensor& out);

// Without states. d_x (T, E) overwritten, dtype of x; d_weight (E, W) and d_bias (E) are added to.
void causal_conv1d_backward(const Tensor& x, const Tensor& weight, const Tensor& bias, bool silu,
                            const Segments& segments, const Tensor& d_out, const Tensor& d_x,
                            const Tensor& d_weight, const Tensor& d_bias);

}  // namespace sambay::ops
