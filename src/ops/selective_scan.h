// The selective scan of Mamba-1 (spec section 5), skip term included, before the z gate.
#pragma once

#include <span>

#include "ops/segments.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// With dt = softplus(dt_raw + dt_bias) and A = -exp(a_log), over each segment from its own state:
//   X[t] = exp(dt[t] A) X[t-1] + (dt[t] u[t]) outer b[t];   y[t] = X[t] c[t] + skip u[t]
// u, dt_raw (T, E), b, c (T, N), N <= 64, one dtype of f64, f32, bf16, strided rows allowed.
// a_log (E, N), skip (E), dt_bias (E): f32 (f64). State and arithmetic are f32 (f64).
struct SelectiveScanInputs {
  Tensor u, dt_raw, b, c;
  Tensor a_log, skip, dt_bias;
};

// The same tensors' gradients: u, dt_raw, b, c overwritten in the inputs' dtype (may be strided),
// a_log, skip, dt_bias added to in f32 (f64).
using SelectiveScanGradients = SelectiveScanInputs;

// Every so many rows of a segment the forward can keep X for the backward to start again from.
inline constexpr int64_t scan_checkpoint_rows = 64;
// Sum over the segments of ceil(rows / scan_checkpoint_rows).
int64_t scan_checkpoints(const Segments& segments);

// y (T, E) in u's dtype. states[s], if not null: X (E, N) f32 (f64) of segment s's sequence, read
// and then brought up to date. checkpoints: undefined, or (scan_checkpoints(), E, N) f32 (f64): X
// before each block of rows.
void selective_scan(const SelectiveScanInputs& in, const Segments& segments,
                    std::span<void* const> states, const Tensor& y, const Tensor& checkpoints = {});

// For a forward without states. Gradients of y, d_y (T, E) in y's dtype.
void selective_scan_backward(const SelectiveScanInputs& in, const Segments& segments,
                             const Tensor& checkpoints, const Tensor& d_y,
                             const SelectiveScanGradients& gradients);

}  // namespace sambay::ops
