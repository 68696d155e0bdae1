#include "ops/adamw.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/adamw_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/adamw.h"

namespace sambay::ops {

SAMBAY_KERNELS(AdamwKernels, adamw_kernels);

namespace {

constexpr const char* op = "adamw";
// Elements that are worth a thread's while.
constexpr int64_t grain = 16'384;
// Elements whose squares are summed by one task: fixed, so that the order is.
constexpr int64_t block = 65'536;

void expect_contiguous(std::string_view field, const Tensor& tensor) {
  if (!tensor.contiguous()) {
    fail(op, "{}: expected a contiguous tensor", field);
  }
}

void check_tensors(const AdamwTensors& t) {
  expect_dtype(op, "master", t.master, {DType::f32, DType::f64});
  expect_contiguous("master", t.master);
  const DType dtype = t.master.dtype();
  for (const auto& [field, tensor] :
       {std::pair{"gradient", &t.gradient}, std::pair{"m", &t.m}, std::pair{"v", &t.v}}) {
    expect(op, field, *tensor, t.master.shape(), {dtype});
    expect_contiguous(field, *tensor);
  }
  if (t.compute.defined()) {
    expect_shape(op, "compute", t.compute, t.master.shape());
    expect_contiguous("compute", t.compute);
    if (dtype == DType::f64) {
      expect_dtype(op, "compute", t.compute, {DType::f64});
    } else {
      expect_dtype(op, "compute", t.compute, {DType::f32, DType::bf16});
    }
  }
}

AdamwFactors factors_of(const AdamwOptions& o) {
  const auto steps = static_cast<double>(o.step);
  const auto f = [](double x) { return static_cast<float>(x); };
  return {.beta1 = f(o.beta1),
          .one_minus_beta1 = f(1 - o.beta1),
          .beta2 = f(o.beta2),
          .one_minus_beta2 = f(1 - o.beta2),
          .epsilon = f(o.epsilon),
          .decay = f(o.decay),
          .gradient_scale = f(o.gradient_scale),
          .step_size = f(o.learning_rate / (1 - std::pow(o.beta1, steps))),
          .v_correction = f(1 / (1 - std::pow(o.beta2, steps)))};
}

template <class Real>
void run_reference(const AdamwTensors& t, const AdamwOptions& options, Staging<Real>& staging) {
  ref::adamw<Real>({staging.out(t.master), staging.out(t.gradient), staging.out(t.m),
                    staging.out(t.v), staging.out(t.compute), t.master.elements()},
                   options);
}

}  // namespace

void adamw(const AdamwTensors& t, const AdamwOptions& options) {
  check_tensors(t);
  const auto count = static_cast<double>(t.master.elements());
  count_cost({.other_flops = 14 * count,
              .weight_bytes = static_cast<double>(t.master.bytes() +
                                                  (t.compute.defined() ? t.compute.bytes() : 0)),
              .activation_bytes = 3 * static_cast<double>(t.master.bytes())});
  if (any_meta(t.master)) {
    return;
  }
  if (isa() == Isa::reference || t.master.dtype() == DType::f64) {
    run_reference(t.master.dtype(), [&](auto& staging) { run_reference(t, options, staging); });
    return;
  }
  const AdamwFactors factors = factors_of(options);
  const AdamwKernels& kernels = adamw_kernels();
  const bool bf16 = t.compute.defined() && t.compute.dtype() == DType::bf16;
  const auto run = bf16 ? kernels.adamw_bf16 : kernels.adamw_f32;
  auto* compute = static_cast<std::byte*>(t.compute.raw());
  parallel_ranges(t.master.elements(), grain, [&](int64_t begin, int64_t end) {
    void* copy = compute == nullptr
                     ? nullptr
                     : compute + begin * static_cast<int64_t>(size_of(t.compute.dtype()));
    run({t.master.data<float>() + begin, t.gradient.data<float>() + begin,
         t.m.data<float>() + begin, t.v.data<float>() + begin, copy, end - begin},
        factors);
  });
}

double sum_of_squares(const Tensor& x) {
  expect_dtype("sum_of_squares", "x", x, {DType::f32, DType::f64});
  expect_contiguous("x", x);
  const int64_t count = x.elements();
  count_cost({.other_flops = 2 * static_cast<double>(count),
              .activation_bytes = static_cast<double>(x.bytes())});
  const int64_t blocks = (count + block - 1) / block;
  const Tensor partial = Tensor::empty({blocks}, DType::f64, x.arena());
  if (any_meta(x)) {
    return 0;
  }
  double* sums = partial.data<double>();
  parallel_for(blocks, [&](int64_t i) {
    const int64_t begin = i * block, size = std::min(block, count - begin);
    if (x.dtype() == DType::f64) {
      sums[i] = ref::sum_of_squares(x.data<double>() + begin, size);
    } else if (isa() == Isa::reference) {
      sums[i] = ref::sum_of_squares(x.data<float>() + begin, size);
    } else {
      sums[i] = adamw_kernels().sum_of_squares(x.data<float>() + begin, size);
    }
  });
  double total = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    total += sums[i];
  }
  return total;
}

}  // namespace sambay::ops
