// The ops as differentiable functions: each runs the op and, when the pass is recorded, its
// backward.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/exec.h"
#include "ops/attention.h"
#include "ops/segments.h"

namespace sambay {

// Shapes, dtypes and errors are the ops' own (ops/*.h); results are in exec.precision.compute
// unless an argument or a comment says otherwise.

// out = x weight^T + bias, bias undefined or f32 (f64): the op for the kind of matrix that weight
// is.
void apply_linear(const Tensor& x, const Weight& weight, const Tensor& bias, const Tensor& out);
// bias may be null. A recorded pass cannot have quantized weights.
Var linear(Exec& exec, const Var& x, const Weight& weight, const Weight* bias = nullptr);
Var rms_norm(Exec& exec, const Var& x, const Weight& weight, float eps);
Var layer_norm(Exec& exec, const Var& x, const Weight& weight, const Weight& bias, float eps);
Var silu_mul(Exec& exec, const Var& gate, const Var& up);
// x + scale * y in x's dtype. Without a tape x is overwritten: the residual stream is one buffer.
Var add_scaled(Exec& exec, const Var& x, const Var& y, float scale);
// Columns of x as views, in order.
std::vector<Var> split_last(Exec& exec, const Var& x, std::span<const int64_t> sizes);
// The same Var when wanted == all.
Var select_rows(Exec& exec, const Var& x, const Segments& all, const Segments& wanted);
// Residual stream in accum.
Var embedding(Exec& exec, std::span<const int32_t> ids, const Weight& table);
// x is turned in place: it must have no other consumer.
Var rope(Exec& exec, const Var& x, int64_t heads, const Segments& segments, double base);

// weight (E, 1, W), as it is stored. states: one pointer a segment or empty (recorded passes run
// without states).
Var causal_conv1d(Exec& exec, const Var& x, const Weight& weight, const Weight* bias, bool silu,
                  const Segments& segments, std::span<void* const> states);

struct SelectiveScanVars {
  Var u, dt_raw, b, c;
  const Weight* a_log;
  const Weight* skip;
  const Weight* dt_bias;
};
Var selective_scan(Exec& exec, const SelectiveScanVars& in, const Segments& segments,
                   std::span<void* const> states);

// q (Q, H d), k, v (T, K d) -> (Q, H v_dim). `queries` are suffixes of `tokens`.
Var attention(Exec& exec, const Var& q, const Var& k, const Var& v, const Segments& queries,
              const Segments& tokens, const ops::AttentionOptions& options);

struct DifferentialWeights {
  const Weight* lambda_q1;
  const Weight* lambda_k1;
  const Weight* lambda_q2;
  const Weight* lambda_k2;
  const Weight* subln;
};
// attn (T, H 2d) -> (T, H d).
Var differential(Exec& exec, const Var& attn, int64_t heads, const DifferentialWeights& weights,
                 float lambda_init, float eps);

// Runs body, keeps only its inputs, and runs it again in the backward, which gives the same bits.
// body must depend on nothing that changes in between but its inputs and weights.
using Recomputed = std::function<std::vector<Var>(Exec&, std::span<const Var>)>;
std::vector<Var> recompute(Exec& exec, std::span<const Var> inputs, const Recomputed& body);

}  // namespace sambay
