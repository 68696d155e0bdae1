#include "ops/causal_conv1d.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/causal_conv1d_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/causal_conv1d.h"

namespace sambay::ops {

SAMBAY_KERNELS(ConvKernels, conv_kernels);

namespace {

struct ConvOperands {
  std::string_view op;
  const Tensor &x, &weight, &bias;
  bool silu;
};

void check_operands(const ConvOperands& in, const Segments& segments) {
  expect_rank(in.op, "x", in.x, 2);
  expect_rank(in.op, "weight", in.weight, 2);
  const int64_t E = in.x.dim(1);
  const DType master = master_dtype(in.x.dtype());
  expect(in.op, "x", in.x, {segments.rows(), E}, {DType::f64, DType::f32, DType::bf16});
  expect(in.op, "weight", in.weight, {E, -1}, {master});
  if (in.weight.dim(1) < 1 || in.weight.dim(1) > conv_max_taps) {
    fail(in.op, "weight: expected 1 to {} taps, got {}", conv_max_taps, in.weight.dim(1));
  }
  if (in.bias.defined()) {
    expect(in.op, "bias", in.bias, {E}, {master});
  }
  check(in.weight.contiguous(), "the filter is contiguous");
}

double conv_flops(const ConvOperands& in) {
  return static_cast<double>(in.x.elements()) *
         (2.0 * static_cast<double>(in.weight.dim(1)) + (in.silu ? 4.0 : 0.0));
}

// to (columns, rows) = from (rows, columns) transposed, or added to it.
void transpose(const float* from, int64_t rows, int64_t columns, bool add, float* to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      float& target = to[c * rows + r];
      target = from[r * columns + c] + (add ? target : 0.0F);
    }
  }
}

Tensor transposed_weight(const Tensor& weight, Arena& arena) {
  Tensor out = Tensor::empty({weight.dim(1), weight.dim(0)}, DType::f32, arena);
  if (!any_meta(out)) {
    transpose(weight.data<float>(), weight.dim(0), weight.dim(1), false, out.data<float>());
  }
  return out;
}

ConvArguments arguments(const ConvOperands& in, const Tensor& weight) {
  return {const_rows_of(in.x),
          weight.data<float>(),
          in.bias.defined() ? in.bias.data<float>() : nullptr,
          in.x.dim(1),
          in.weight.dim(1),
          in.silu};
}

ConvSegment segment_of(const Segments& segments, int s, std::span<void* const> states) {
  const auto at = static_cast<size_t>(s);
  return {segments.begin[at], segments.rows(s),
          states.empty() ? nullptr : static_cast<float*>(states[at])};
}

void forward_with_kernels(const ConvOperands& in, const Segments& segments,
                          std::span<void* const> states, const Tensor& out) {
  const ConvKernels& kernels = conv_kernels();
  const Tensor weight = transposed_weight(in.weight, out.arena());
  if (any_meta(in.x, out)) {
    return;
  }
  const ConvArguments work = arguments(in, weight);
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work.channels));
  parallel_ranges(segments.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int s = 0; s < segments.count(); ++s) {
      const ConvSegment segment = segment_of(segments, s, states);
      const int64_t first = std::max<int64_t>(0, begin - segment.row);
      const int64_t last = std::min(segment.rows, end - segment.row);
      if (first < last) {
        kernels.forward(work, segment, first, last, rows_of(out));
      }
    }
  });
  if (states.empty()) {
    return;
  }
  // Only now, when every row has read the old states.
  parallel_ranges(segments.count(), 8, [&](int64_t begin, int64_t end) {
    for (auto s = static_cast<int>(begin); s < end; ++s) {
      const ConvSegment segment = segment_of(segments, s, states);
      if (segment.state != nullptr && segment.rows > 0) {
        kernels.keep(work, segment);
      }
    }
  });
}

void backward_with_kernels(const ConvOperands& in, const Segments& segments, const Tensor& d_out,
                           const Tensor& d_x, const Tensor& d_weight, const Tensor& d_bias) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t E = in.x.dim(1), W = in.weight.dim(1);
  const Tensor weight = transposed_weight(in.weight, d_x.arena());
  const Tensor sums = Tensor::zeros({W + 1, E}, DType::f32, d_x.arena());
  if (any_meta(in.x, d_out)) {
    return;
  }
  ConvBackward work;
  work.in = arguments(in, weight);
  work.d_out = const_rows_of(d_out);
  work.d_x = rows_of(d_x);
  work.d_weight = sums.data<float>();
  work.d_bias = sums.data<float>() + W * E;
  // Threads split the channels, so that each filter's sum runs over the rows in order.
  constexpr int64_t width = 64;
  parallel_for((E + width - 1) / width, [&](int64_t group) {
    for (int s = 0; s < segments.count(); ++s) {
      kernels.backward(work, segment_of(segments, s, {}), group * width,
                       std::min(E, (group + 1) * width));
    }
  });
  transpose(work.d_weight, W, E, true, d_weight.data<float>());
  if (d_bias.defined()) {
    transpose(work.d_bias, 1, E, true, d_bias.data<float>());
  }
}

template <class Real>
ref::ConvData<Real> stage_inputs(Staging<Real>& staging, const ConvOperands& in) {
  return {in.x.dim(1),           in.weight.dim(1),    staging.in(in.x),
          staging.in(in.weight), staging.in(in.bias), in.silu};
}

}  // namespace

void causal_conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, bool silu,
                   const Segments& segments, std::span<void* const> states, const Tensor& out) {
  const ConvOperands in = {"causal_conv1d", x, weight, bias, silu};
  check_operands(in, segments);
  expect(in.op, "out", out, x.shape(), {x.dtype()});
  check(states.empty() || static_cast<int>(states.size()) == segments.count(),
        "there is a state, or null, for every segment");
  if (cost_is_metered()) {
    const double kept = count_states(states, any_meta(x));
    const double state_bytes = static_cast<double>((weight.dim(1) - 1) * x.dim(1)) *
                               static_cast<double>(size_of(weight.dtype()));
    count_cost({.other_flops = conv_flops(in),
                .weight_bytes = bytes_of(weight, bias),
                .state_bytes = 2 * kept * state_bytes,
                .activation_bytes = bytes_of(x, out)});
  }
  if (dry_reference(x.dtype(), x, out)) {
    return;
  }
  if (runs_reference(x.dtype())) {
    run_reference(x.dtype(), [&](auto& staging) {
      const auto data = stage_inputs(staging, in);
      ref::causal_conv1d(data, segments, states, staging.out(out));
    });
    return;
  }
  forward_with_kernels(in, segments, states, out);
}

void causal_conv1d_backward(const Tensor& x, const Tensor& weight, const Tensor& bias, bool silu,
                            const Segments& segments, const Tensor& d_out, const Tensor& d_x,
                            const Tensor& d_weight, const Tensor& d_bias) {
  const ConvOperands in = {"causal_conv1d_backward", x, weight, bias, silu};
  check_operands(in, segments);
  expect(in.op, "d_out", d_out, x.shape(), {x.dtype()});
  expect(in.op, "d_x", d_x, x.shape(), {x.dtype()});
  expect(in.op, "d_weight", d_weight, weight.shape(), {weight.dtype()});
  check(d_weight.contiguous(), "the filter's gradient is contiguous");
  if (d_bias.defined()) {
    expect(in.op, "d_bias", d_bias, {x.dim(1)}, {weight.dtype()});
  }
  count_cost({.other_flops = 3 * conv_flops(in),
              .weight_bytes = bytes_of(weight, bias) + 2 * bytes_of(d_weight, d_bias),
              .activation_bytes = bytes_of(x, d_out, d_x)});
  if (dry_reference(x.dtype(), x, d_out)) {
    return;
  }
  if (runs_reference(x.dtype())) {
    run_reference(x.dtype(), [&](auto& staging) {
      const auto data = stage_inputs(staging, in);
      ref::causal_conv1d_backward(data, segments, staging.in(d_out), staging.out(d_x),
                                  staging.out(d_weight), staging.out(d_bias));
    });
    return;
  }
  backward_with_kernels(in, segments, d_out, d_x, d_weight, d_bias);
}

}  // namespace sambay::ops
