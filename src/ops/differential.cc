#include "base/cpu.h"
#include "ops/attention.h"
#include "ops/cost.h"
#include "ops/cpu/attention.h"
#include "ops/dispatch.h"
#include "ops/ref/attention.h"

namespace sambay::ops {
namespace {

void check_inputs(std::string_view op, const DifferentialInputs& in, const Tensor& out) {
  expect_rank(op, "attn", in.attn, 3);
  const int64_t tokens = in.attn.dim(0), heads = in.attn.dim(1), width = in.attn.dim(2);
  expect_dtype(op, "attn", in.attn, {DType::f64, DType::f32, DType::bf16});
  if (heads % 2 != 0 || width % 2 != 0) {
    fail(op, "attn: expected an even number of heads of an even width, got {}",
         in.attn.shape().text());
  }
  const DType master = master_dtype(in.attn.dtype());
  expect(op, "lambda_q1", in.lambda_q1, {width / 2}, {master});
  expect(op, "lambda_k1", in.lambda_k1, {width / 2}, {master});
  expect(op, "lambda_q2", in.lambda_q2, {width / 2}, {master});
  expect(op, "lambda_k2", in.lambda_k2, {width / 2}, {master});
  expect(op, "subln", in.subln, {width}, {master});
  expect(op, "out", out, {tokens, heads / 2, width}, {in.attn.dtype()});
}

void count(const DifferentialInputs& in, const Tensor& out, double flops, double passes) {
  Cost cost;
  cost.other_flops = flops * static_cast<double>(out.elements());
  cost.activation_bytes =
      passes * static_cast<double>(in.attn.bytes()) + static_cast<double>(out.bytes());
  cost.weight_bytes = static_cast<double>(in.subln.bytes() + 4 * in.lambda_q1.bytes());
  count_cost(cost);
}

}  // namespace

void differential(const DifferentialInputs& in, const Tensor& out) {
  check_inputs("differential", in, out);
  // Difference 2, square and sum 2, scale and weight 2.
  count(in, out, 6, 1);
  if (dry_reference(in.attn.dtype(), in.attn, out)) {
    return;
  }
  if (in.attn.dtype() == DType::f64) {
    ref::differential<double, double>(in, out);
  } else if (isa() != Isa::reference) {
    cpu::differential(in, out);
  } else if (in.attn.dtype() == DType::f32) {
    ref::differential<float, float>(in, out);
  } else {
    ref::differential<float, Bf16>(in, out);
  }
}

void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients) {
  check_inputs("differential_backward", in, d_out);
  check_inputs("differential_backward", gradients, d_out);
  expect_shape("differential_backward", "gradients.attn", gradients.attn, in.attn.shape());
  // The forward's difference and norm again, then some nine per element of d_out.
  count(in, d_out, 18, 2);
  if (dry_reference(in.attn.dtype(), in.attn, d_out)) {
    return;
  }
  if (in.attn.dtype() == DType::f64) {
    ref::differential_backward<double, double>(in, d_out, gradients);
  } else if (isa() != Isa::reference) {
    cpu::differential_backward(in, d_out, gradients);
  } else if (in.attn.dtype() == DType::f32) {
    ref::differential_backward<float, float>(in, d_out, gradients);
  } else {
    ref::differential_backward<float, Bf16>(in, d_out, gradients);
  }
}

}  // namespace sambay::ops
