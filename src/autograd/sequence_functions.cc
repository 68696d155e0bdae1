// The functions along a sequence: convolution, scan, attention.
#include "autograd/functions.h"
#include "autograd/recording.h"
#include "ops/causal_conv1d.h"
#include "ops/selective_scan.h"

namespace sambay {

Var causal_conv1d(Exec& exec, const Var& x, const Weight& weight, const Weight* bias, bool silu,
                  const Segments& segments, std::span<void* const> states) {
  const auto filter = [](const Tensor& w) {  // (E, 1, W) -> (E, W)
    return w.reshape({w.dim(0), w.dim(2)});
  };
  Var out{exec.empty(x.value.shape(), exec.precision.compute)};
  const Weight b = bias != nullptr ? *bias : Weight{};
  ops::causal_conv1d(x.value, filter(weight.value), b.value, silu, segments, states, out.value);
  if (!needs_gradient(exec, {&x}, {&weight, &b})) {
    return out;
  }
  check(states.empty(), "a recorded pass carries no state");
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x, weight, b, silu, segments, filter] {
    InputGradient d_x(tape, x, true);
    ops::causal_conv1d_backward(x.value, filter(weight.value), b.value, silu, segments,
                                tape.gradient(out), d_x.tensor(),
                                filter(gradient_or_scratch(tape, weight)),
                                b.value.defined() ? gradient_or_scratch(tape, b) : Tensor{});
    d_x.finish();
  });
  return out;
}

Var selective_scan(Exec& exec, const SelectiveScanVars& in, const Segments& segments,
                   std::span<void* const> states) {
  const Weight &a_log = *in.a_log, &skip = *in.skip, &dt_bias = *in.dt_bias;
  const ops::SelectiveScanInputs inputs = {in.u.value,  in.dt_raw.value, in.b.value,   in.c.value,
                                           a_log.value, skip.value,      dt_bias.value};
  Var y{exec.empty(in.u.value.shape(), exec.precision.compute)};
  if (!needs_gradient(exec, {&in.u, &in.dt_raw, &in.b, &in.c}, {&a_log, &skip, &dt_bias})) {
    ops::selective_scan(inputs, segments, states, y.value);
    return y;
  }
  check(states.empty(), "a recorded pass carries no state");
  const Tensor checkpoints =
      exec.empty({ops::scan_checkpoints(segments), a_log.value.dim(0), a_log.value.dim(1)},
                 exec.precision.accum);
  ops::selective_scan(inputs, segments, states, y.value, checkpoints);
  Tape& tape = *exec.tape;
  y = tape.track(y.value);
  tape.record({y}, [&tape, y = handle(y), u = in.u, dt_raw = in.dt_raw, b = in.b, c = in.c, a_log,
                    skip, dt_bias, segments, checkpoints] {
    InputGradient d_u(tape, u, true), d_dt(tape, dt_raw, true), d_b(tape, b, true),
        d_c(tape, c, true);
    ops::selective_scan_backward(
        {u.value, dt_raw.value, b.value, c.value, a_log.value, skip.value, dt_bias.value}, segments,
        checkpoints, tape.gradient(y),
        {d_u.tensor(), d_dt.tensor(), d_b.tensor(), d_c.tensor(), gradient_or_scratch(tape, a_log),
         gradient_or_scratch(tape, skip), gradient_or_scratch(tape, dt_bias)});
    d_u.finish();
    d_dt.finish();
    d_b.finish();
    d_c.finish();
  });
  return y;
}

Var attention(Exec& exec, const Var& q, const Var& k, const Var& v, const Segments& queries,
              const Segments& tokens, const ops::AttentionOptions& options) {
  const int64_t heads = options.map.heads, k_heads = options.map.k_heads;
  const Tensor q_heads = q.value.split_last(heads), k_rows = k.value.split_last(k_heads),
               v_rows = v.value.split_last(k_heads);
  Var out{exec.empty({queries.rows(), heads * options.map.v_dim()}, exec.precision.compute)};
  const Tensor out_heads = out.value.split_last(heads);
  const bool recorded = needs_gradient(exec, {&q, &k, &v});
  const Tensor lse =
      recorded ? exec.empty({queries.rows(), heads}, exec.precision.accum) : Tensor{};
  ops::attention(q_heads, queries, ops::fresh_spans(k_rows, v_rows, tokens), options, out_heads,
                 lse);
  if (!recorded) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out, q, k, v, queries, tokens, options, lse] {
    const int64_t n = options.map.heads, n_k = options.map.k_heads;
    InputGradient d_q(tape, q, true), d_k(tape, k, true), d_v(tape, v, true);
    ops::attention_backward(
        q.value.split_last(n), k.value.split_last(n_k), v.value.split_last(n_k), queries, tokens,
        options, out.value.split_last(n), lse, tape.gradient(out).split_last(n),
        {d_q.tensor().split_last(n), d_k.tensor().split_last(n_k), d_v.tensor().split_last(n_k)});
    d_q.finish();
    d_k.finish();
    d_v.finish();
  });
  return out;
}

Var differential(Exec& exec, const Var& attn, int64_t heads, const DifferentialWeights& weights,
                 float lambda_init, float eps) {
  const Weight &q1 = *weights.lambda_q1, &k1 = *weights.lambda_k1, &q2 = *weights.lambda_q2,
               &k2 = *weights.lambda_k2, &subln = *weights.subln;
  const int64_t rows = attn.value.dim(0), width = attn.value.dim(1) / 2;
  Var out{exec.empty({rows, width}, exec.precision.compute)};
  const ops::DifferentialInputs inputs = {attn.value.split_last(heads),
                                          q1.value,
                                          k1.value,
                                          q2.value,
                                          k2.value,
                                          subln.value,
                                          lambda_init,
                                          eps};
  ops::differential(inputs, out.value.split_last(heads / 2));
  if (!needs_gradient(exec, {&attn}, {&q1, &k1, &q2, &k2, &subln})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), attn, inputs, heads, q1, k1, q2, k2, subln] {
    InputGradient d_attn(tape, attn, true);
    ops::DifferentialInputs gradients = inputs;
    gradients.attn = d_attn.tensor().split_last(heads);
    gradients.lambda_q1 = gradient_or_scratch(tape, q1);
    gradients.lambda_k1 = gradient_or_scratch(tape, k1);
    gradients.lambda_q2 = gradient_or_scratch(tape, q2);
    gradients.lambda_k2 = gradient_or_scratch(tape, k2);
    gradients.subln = gradient_or_scratch(tape, subln);
    ops::differential_backward(inputs, tape.gradient(out).split_last(heads / 2), gradients);
    d_attn.finish();
  });
  return out;
}

}  // namespace sambay
