#include "ops/norm.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/norm_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/norm.h"

namespace sambay::ops {

SAMBAY_KERNELS(NormKernels, norm_kernels);

namespace {

struct NormCall {
  std::string_view op;
  bool centred;
  float eps;
};

void check_operands(const NormCall& call, const Tensor& x, const Tensor& weight,
                    const Tensor& out) {
  expect_rank(call.op, "x", x, 2);
  expect_dtype(call.op, "x", x, {DType::f64, DType::f32, DType::bf16});
  expect(call.op, "weight", weight, {x.dim(1)}, {master_dtype(x.dtype())});
  expect_shape(call.op, "out", out, x.shape());
  if (x.dtype() == DType::f64) {
    expect_dtype(call.op, "out", out, {DType::f64});
  } else {
    expect_dtype(call.op, "out", out, {DType::f32, DType::bf16});
  }
}

NormArguments arguments(const NormCall& call, const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
  NormArguments work;
  work.x = const_rows_of(x);
  work.weight = weight.data<float>();
  work.bias = bias.defined() ? bias.data<float>() : nullptr;
  work.centred = call.centred;
  work.eps = call.eps;
  work.width = x.dim(1);
  return work;
}

void forward(const NormCall& call, const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Tensor& out) {
  check_operands(call, x, weight, out);
  count_cost({.other_flops = (call.centred ? 7.0 : 4.0) * static_cast<double>(x.elements()),
              .weight_bytes = bytes_of(weight, bias),
              .activation_bytes = bytes_of(x, out)});
  if (any_meta(x, out)) {
    return;
  }
  const int64_t T = x.dim(0), D = x.dim(1);
  if (runs_reference(x.dtype())) {
    run_reference(x.dtype(), [&]<class Real>(Staging<Real>& staging) {
      ref::norm(staging.in(x), staging.in(weight), staging.in(bias), call.centred,
                static_cast<Real>(call.eps), T, D, staging.out(out));
    });
    return;
  }
  const NormArguments work = arguments(call, x, weight, bias);
  const auto kernel = norm_kernels().forward;
  parallel_ranges(T, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, D)),
                  [&](int64_t begin, int64_t end) { kernel(work, begin, end, rows_of(out)); });
}

// Rows whose part of d_weight is summed on its own; the parts are then added in order.
constexpr int64_t part_rows = 128;

void backward_with_kernels(const NormCall& call, const Tensor& x, const Tensor& weight,
                           const Tensor& d_out, const Tensor& d_x, const Tensor& d_weight,
                           const Tensor& d_bias) {
  const NormKernels& kernels = norm_kernels();
  const NormArguments work = arguments(call, x, weight, {});
  const int64_t T = x.dim(0), D = x.dim(1), parts = (T + part_rows - 1) / part_rows;
  const Tensor sums = Tensor::zeros({parts, 2, D}, DType::f32, d_x.arena());
  if (any_meta(x, d_out)) {
    return;
  }
  parallel_for(parts, [&](int64_t part) {
    float* part_weight = sums.data<float>() + part * 2 * D;
    const int64_t begin = part * part_rows;
    kernels.backward(work, begin, std::min(T, begin + part_rows), const_rows_of(d_out),
                     rows_of(d_x), part_weight, d_bias.defined() ? part_weight + D : nullptr);
  });
  const auto* all = sums.data<float>();
  parallel_ranges(D, 64, [&](int64_t begin, int64_t end) {
    kernels.add_parts(all + begin, parts, 2 * D, end - begin, d_weight.data<float>() + begin);
    if (d_bias.defined()) {
      kernels.add_parts(all + D + begin, parts, 2 * D, end - begin, d_bias.data<float>() + begin);
    }
  });
}

void backward(const NormCall& call, const Tensor& x, const Tensor& weight, const Tensor& d_out,
              const Tensor& d_x, const Tensor& d_weight, const Tensor& d_bias) {
  check_operands(call, x, weight, d_out);
  expect(call.op, "d_x", d_x, x.shape(), {x.dtype()});
  expect(call.op, "d_weight", d_weight, weight.shape(), {weight.dtype()});
  count_cost({.other_flops = (call.centred ? 16.0 : 12.0) * static_cast<double>(x.elements()),
              .weight_bytes = bytes_of(weight) + 2 * bytes_of(d_weight, d_bias),
              .activation_bytes = bytes_of(x, d_out, d_x)});
  const int64_t T = x.dim(0), D = x.dim(1);
  if (T == 0 || dry_reference(x.dtype(), x, d_out)) {
    return;
  }
  if (runs_reference(x.dtype())) {
    run_reference(x.dtype(), [&]<class Real>(Staging<Real>& staging) {
      ref::norm_backward(staging.in(x), staging.in(weight), call.centred,
                         static_cast<Real>(call.eps), T, D, staging.in(d_out), staging.out(d_x),
                         staging.out(d_weight), staging.out(d_bias));
    });
    return;
  }
  backward_with_kernels(call, x, weight, d_out, d_x, d_weight, d_bias);
}

}  // namespace

void rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) {
  forward({"rms_norm", false, eps}, x, weight, {}, out);
}

void rms_norm_backward(const Tensor& x, const Tensor& weight, float eps, const Tensor& d_out,
                       const Tensor& d_x, const Tensor& d_weight) {
  backward({"rms_norm_backward", false, eps}, x, weight, d_out, d_x, d_weight, {});
}

void layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps,
                const Tensor& out) {
  expect("layer_norm", "bias", bias, weight.shape(), {weight.dtype()});
  forward({"layer_norm", true, eps}, x, weight, bias, out);
}

void layer_norm_backward(const Tensor& x, const Tensor& weight, float eps, const Tensor& d_out,
                         const Tensor& d_x, const Tensor& d_weight, const Tensor& d_bias) {
  expect("layer_norm_backward", "d_bias", d_bias, weight.shape(), {weight.dtype()});
  backward({"layer_norm_backward", true, eps}, x, weight, d_out, d_x, d_weight, d_bias);
}

}  // namespace sambay::ops
