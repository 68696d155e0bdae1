#include "autograd/functions.h"

#include "autograd/recording.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/quantized_linear.h"

namespace sambay {

Weight Weight::rows(int64_t begin, int64_t end) const {
  if (quantized.defined()) {
    return {{}, {}, quantized.slice(begin, end)};
  }
  return {value.slice(0, begin, end),
          gradient.defined() ? gradient.slice(0, begin, end) : Tensor{}};
}

namespace {

void expect_differentiable(const Exec& exec, const char* function, const Weight& weight) {
  if (exec.recording() && weight.quantized.defined()) {
    fail(function,
         "weight: expected floating-point numbers where gradients are wanted, got {} bits",
         weight.quantized.bits);
  }
}

}  // namespace

void apply_linear(const Tensor& x, const Weight& weight, const Tensor& bias, const Tensor& out) {
  if (weight.quantized.defined()) {
    ops::quantized_linear(x, weight.quantized, bias, out);
  } else {
    ops::linear(x, weight.value, bias, out);
  }
}

Var linear(Exec& exec, const Var& x, const Weight& weight, const Weight* bias) {
  expect_differentiable(exec, "linear", weight);
  Var out{exec.empty({x.value.dim(0), weight.shape()[0]}, exec.precision.compute)};
  const Weight b = bias != nullptr ? *bias : Weight{};
  apply_linear(x.value, weight, b.value, out.value);
  if (!needs_gradient(exec, {&x}, {&weight, &b})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x, weight, b_gradient = b.gradient] {
    InputGradient d_x(tape, x);
    ops::linear_backward(x.value, weight.value, tape.gradient(out), d_x.tensor(), weight.gradient,
                         b_gradient);
    d_x.finish();
  });
  return out;
}

Var rms_norm(Exec& exec, const Var& x, const Weight& weight, float eps) {
  Var out{exec.empty(x.value.shape(), exec.precision.compute)};
  ops::rms_norm(x.value, weight.value, eps, out.value);
  if (!needs_gradient(exec, {&x}, {&weight})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x, weight, eps] {
    InputGradient d_x(tape, x, true);
    ops::rms_norm_backward(x.value, weight.value, eps, tape.gradient(out), d_x.tensor(),
                           gradient_or_scratch(tape, weight));
    d_x.finish();
  });
  return out;
}

Var layer_norm(Exec& exec, const Var& x, const Weight& weight, const Weight& bias, float eps) {
  Var out{exec.empty(x.value.shape(), exec.precision.compute)};
  ops::layer_norm(x.value, weight.value, bias.value, eps, out.value);
  if (!needs_gradient(exec, {&x}, {&weight, &bias})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x, weight, bias, eps] {
    InputGradient d_x(tape, x, true);
    ops::layer_norm_backward(x.value, weight.value, eps, tape.gradient(out), d_x.tensor(),
                             gradient_or_scratch(tape, weight), gradient_or_scratch(tape, bias));
    d_x.finish();
  });
  return out;
}

Var silu_mul(Exec& exec, const Var& gate, const Var& up) {
  Var out{exec.empty(gate.value.shape(), exec.precision.compute)};
  ops::silu_mul(gate.value, up.value, out.value);
  if (!needs_gradient(exec, {&gate, &up})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), gate, up] {
    InputGradient d_gate(tape, gate), d_up(tape, up);
    ops::silu_mul_backward(gate.value, up.value, tape.gradient(out), d_gate.tensor(),
                           d_up.tensor());
    d_gate.finish();
    d_up.finish();
  });
  return out;
}

Var add_scaled(Exec& exec, const Var& x, const Var& y, float scale) {
  if (!exec.recording()) {
    ops::add_scaled(x.value, y.value, scale, x.value);
    return x;
  }
  Var out{exec.empty(x.value.shape(), x.value.dtype())};
  ops::add_scaled(x.value, y.value, scale, out.value);
  if (!needs_gradient(exec, {&x, &y})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x = handle(x), y = handle(y),
                      y_dtype = y.value.dtype(), scale] {
    const Tensor d_out = tape.gradient(out);
    if (y.tracked()) {
      const Tensor d_y = Tensor::empty(d_out.shape(), y_dtype, tape.arena());
      ops::scale_cast(d_out, scale, d_y);
      tape.accumulate(y, d_y);
    }
    // Last, because x takes the buffer over.
    if (x.tracked()) {
      tape.accumulate(x, d_out);
    }
  });
  return out;
}

std::vector<Var> split_last(Exec& exec, const Var& x, std::span<const int64_t> sizes) {
  if (exec.recording() && x.tracked()) {
    return exec.tape->split_last(x, sizes);
  }
  std::vector<Var> parts;
  parts.reserve(sizes.size());
  int64_t column = 0;
  for (const int64_t size : sizes) {
    parts.push_back({x.value.slice(x.value.rank() - 1, column, column + size)});
    column += size;
  }
  check(column == x.value.dim(-1), "the parts cover the last dimension");
  return parts;
}

Var select_rows(Exec& exec, const Var& x, const Segments& all, const Segments& wanted) {
  if (wanted == all) {
    return x;
  }
  Var out{exec.empty({wanted.rows(), x.value.dim(1)}, x.value.dtype())};
  ops::select_rows(x.value, all, wanted, out.value);
  if (!needs_gradient(exec, {&x})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), x = handle(x), all, wanted] {
    InputGradient d_x(tape, x);
    ops::select_rows_backward(tape.gradient(out), all, wanted, d_x.tensor());
    d_x.finish();
  });
  return out;
}

Var embedding(Exec& exec, std::span<const int32_t> ids, const Weight& table) {
  const auto rows = static_cast<int64_t>(ids.size());
  expect_differentiable(exec, "embedding", table);
  Var out{exec.empty({rows, table.shape()[1]}, exec.precision.accum)};
  if (table.quantized.defined()) {
    ops::embedding(ids, table.quantized, out.value);
  } else {
    ops::embedding(ids, table.value, out.value);
  }
  if (!needs_gradient(exec, {}, {&table})) {
    return out;
  }
  Tape& tape = *exec.tape;
  out = tape.track(out.value);
  tape.record({out}, [&tape, out = handle(out), kept = std::vector<int32_t>(ids.begin(), ids.end()),
                      gradient = table.gradient] {
    ops::embedding_backward(kept, tape.gradient(out), gradient);
  });
  return out;
}

Var rope(Exec& exec, const Var& x, int64_t heads, const Segments& segments, double base) {
  const Tensor turned = x.value.split_last(heads);
  ops::rope(turned, segments, base, false, turned);
  if (!needs_gradient(exec, {&x})) {
    return {x.value};
  }
  Tape& tape = *exec.tape;
  Var out = tape.track(x.value);
  tape.record({out}, [&tape, out = handle(out), x = handle(x), heads, segments, base] {
    const Tensor d = tape.gradient(out);
    const Tensor d_heads = d.split_last(heads);
    ops::rope(d_heads, segments, base, true, d_heads);
    tape.accumulate(x, d);
  });
  return out;
}

}  // namespace sambay
