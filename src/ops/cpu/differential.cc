#include "ops/cpu/differential_kernels.h"

#include <cmath>

#include "ops/cpu/attention.h"
#include "ops/cpu/attention_blocks.h"
#include "ops/cpu/select.h"
#include "ops/cpu/tasks.h"

namespace sambay::ops {

SAMBAY_KERNELS(DifferentialKernels, differential_kernels);

namespace cpu {
namespace {

// Tokens of a task: a fixed number, so that sums over tasks do not depend on the threads.
constexpr int64_t task_rows = 32;

struct Lambda {
  float e1, e2, value;
};

Lambda lambda_of(const DifferentialInputs& in) {
  float dot1 = 0, dot2 = 0;
  for (int64_t x = 0; x < in.lambda_q1.dim(0); ++x) {
    dot1 += in.lambda_q1.data<float>()[x] * in.lambda_k1.data<float>()[x];
    dot2 += in.lambda_q2.data<float>()[x] * in.lambda_k2.data<float>()[x];
  }
  const float e1 = std::exp(dot1), e2 = std::exp(dot2);
  return {e1, e2, e1 - e2 + in.lambda_init};
}

DifferentialRow row_of(const DifferentialInputs& in, float lambda) {
  return {in.attn.dim(2), lambda, 1.0F - in.lambda_init, in.eps, in.subln.data<float>()};
}

}  // namespace

void differential(const DifferentialInputs& in, const Tensor& out) {
  const bool dry = out.device() == Device::meta;
  const DifferentialRow row = row_of(in, dry ? 0 : lambda_of(in).value);
  const int64_t tasks = (out.dim(0) + task_rows - 1) / task_rows;
  for_each_task(tasks, padded16(row.width), out.arena(), [&](int64_t task, float* o) {
    const int64_t end = std::min(out.dim(0), (task + 1) * task_rows);
    for (int64_t t = task * task_rows; t < end; ++t) {
      for (int64_t n = 0; n < out.dim(1); ++n) {
        differential_kernels().forward(row, out.dtype(), element(in.attn, t, 2 * n),
                                       element(in.attn, t, 2 * n + 1), o, element_mut(out, t, n));
      }
    }
  });
}

void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients) {
  const bool dry = d_out.device() == Device::meta;
  const auto [e1, e2, lambda] = dry ? Lambda{} : lambda_of(in);
  const DifferentialRow row = row_of(in, lambda);
  const int64_t tasks = (d_out.dim(0) + task_rows - 1) / task_rows;
  // Each task's d_subln, and its d_lambda behind.
  const Tensor sums = Tensor::zeros({tasks, row.width + 1}, DType::f32, d_out.arena());
  for_each_task(tasks, padded16(row.width), d_out.arena(), [&](int64_t task, float* o) {
    float* mine = sums.data<float>() + task * (row.width + 1);
    const int64_t end = std::min(d_out.dim(0), (task + 1) * task_rows);
    for (int64_t t = task * task_rows; t < end; ++t) {
      for (int64_t n = 0; n < d_out.dim(1); ++n) {
        mine[row.width] += differential_kernels().backward(
            row, d_out.dtype(), element(in.attn, t, 2 * n), element(in.attn, t, 2 * n + 1),
            element(d_out, t, n), {o, mine}, element_mut(gradients.attn, t, 2 * n),
            element_mut(gradients.attn, t, 2 * n + 1));
      }
    }
  });
  if (dry) {
    return;
  }
  float d_lambda = 0;
  for (int64_t task = 0; task < tasks; ++task) {
    const float* from = sums.data<float>() + task * (row.width + 1);
    for (int64_t x = 0; x < row.width; ++x) {
      gradients.subln.data<float>()[x] += from[x];
    }
    d_lambda += from[row.width];
  }
  for (int64_t x = 0; x < in.lambda_q1.dim(0); ++x) {
    gradients.lambda_q1.data<float>()[x] += d_lambda * e1 * in.lambda_k1.data<float>()[x];
    gradients.lambda_k1.data<float>()[x] += d_lambda * e1 * in.lambda_q1.data<float>()[x];
    gradients.lambda_q2.data<float>()[x] -= d_lambda * e2 * in.lambda_k2.data<float>()[x];
    gradients.lambda_k2.data<float>()[x] -= d_lambda * e2 * in.lambda_q2.data<float>()[x];
  }
}

}  // namespace cpu
}  // namespace sambay::ops
