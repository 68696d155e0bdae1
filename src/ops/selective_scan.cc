#include "ops/selective_scan.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/select.h"
#include "ops/cpu/selective_scan_kernels.h"
#include "ops/dispatch.h"
#include "ops/ref/selective_scan.h"

namespace sambay::ops {

SAMBAY_KERNELS(ScanKernels, scan_kernels);

namespace {

constexpr std::string_view op = "selective_scan";
// Segments of so few rows are stepped through with the states across the lanes, as they lie in
// memory.
constexpr int64_t step_rows = 4;
constexpr int64_t max_state_size = 64;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

void check_operands(const SelectiveScanInputs& in, const Segments& segments) {
  expect_rank(op, "u", in.u, 2);
  expect_rank(op, "b", in.b, 2);
  const int64_t T = segments.rows(), E = in.u.dim(1), N = in.b.dim(1);
  const DType data = in.u.dtype(), master = master_dtype(data);
  expect(op, "u", in.u, {T, E}, {DType::f64, DType::f32, DType::bf16});
  expect(op, "dt_raw", in.dt_raw, {T, E}, {data});
  expect(op, "b", in.b, {T, N}, {data});
  expect(op, "c", in.c, {T, N}, {data});
  expect(op, "a_log", in.a_log, {E, N}, {master});
  expect(op, "skip", in.skip, {E}, {master});
  expect(op, "dt_bias", in.dt_bias, {E}, {master});
  if (N > max_state_size) {
    fail(op, "b: expected at most {} states, got {}", max_state_size, N);
  }
  check(in.a_log.contiguous(), "a_log is contiguous");
}

template <class Real>
ref::ScanData<Real> stage_inputs(Staging<Real>& staging, const SelectiveScanInputs& in) {
  return {in.u.dim(1),           in.b.dim(1),         staging.in(in.u),
          staging.in(in.dt_raw), staging.in(in.b),    staging.in(in.c),
          staging.in(in.a_log),  staging.in(in.skip), staging.in(in.dt_bias)};
}

// The operands as the kernels take them; `scratch` keeps what they point to alive.
struct KernelInputs {
  ScanArguments arguments;
  Tensor bc, exponents;
};

KernelInputs prepare(const SelectiveScanInputs& in, Arena& arena) {
  const ScanKernels& kernels = scan_kernels();
  const int64_t T = in.u.dim(0), E = in.u.dim(1), N = in.b.dim(1);
  KernelInputs out;
  out.bc = Tensor::empty({T, 2 * N}, DType::f32, arena);
  out.exponents = Tensor::empty({E, N}, DType::f32, arena);
  if (any_meta(out.bc)) {
    return out;
  }
  auto* bc = out.bc.data<float>();
  auto* exponents = out.exponents.data<float>();
  const auto* a_log = in.a_log.data<float>();
  parallel_ranges(E * N, 4096, [&](int64_t begin, int64_t end) {
    kernels.exponents(a_log + begin, end - begin, exponents + begin);
  });
  parallel_ranges(T, 256, [&](int64_t begin, int64_t end) {
    kernels.widen(const_rows_of(in.b), const_rows_of(in.c), N, begin, end, bc);
  });
  out.arguments = {E,  N,         const_rows_of(in.u),   const_rows_of(in.dt_raw),
                   bc, exponents, in.skip.data<float>(), in.dt_bias.data<float>()};
  return out;
}

// first[s]: the index of segment s's first checkpoint.
Tensor first_checkpoints(const Segments& segments, Arena& arena) {
  Tensor first = Tensor::empty({segments.count()}, DType::i64, arena);
  int64_t next = 0;
  for (int s = 0; s < segments.count() && !any_meta(first); ++s) {
    first.data<int64_t>()[s] = next;
    next += ceil_div(segments.rows(s), scan_checkpoint_rows);
  }
  return first;
}

// Per row, channel and state: the exponential and its argument, two products and two sums for X,
// two for y. Per row and channel: softplus and the skip term.
double scan_flops(const SelectiveScanInputs& in) {
  return static_cast<double>(in.u.elements()) * (7.0 * static_cast<double>(in.b.dim(1)) + 6.0);
}

void scan_with_kernels(const SelectiveScanInputs& in, const Segments& segments,
                       std::span<void* const> states, const Tensor& y, const Tensor& checkpoints) {
  const ScanKernels& kernels = scan_kernels();
  const KernelInputs inputs = prepare(in, y.arena());
  const Tensor first = first_checkpoints(segments, y.arena());
  if (any_meta(in.u, y)) {
    return;
  }
  const int64_t E = in.u.dim(1), N = in.b.dim(1);
  bool only_steps = true;
  for (int s = 0; s < segments.count(); ++s) {
    only_steps = only_steps && segments.rows(s) <= step_rows;
  }
  const int64_t width = only_steps ? 512 : 64;
  const int64_t groups = ceil_div(E, width);
  parallel_for(segments.count() * groups, [&](int64_t task) {
    const int64_t s = task / groups, begin = task % groups * width;
    const int64_t end = std::min(E, begin + width);
    ScanSegment segment;
    segment.row = segments.begin[static_cast<size_t>(s)];
    segment.rows = segments.rows(static_cast<int>(s));
    if (segment.rows == 0) {
      return;
    }
    if (!states.empty()) {
      segment.state = static_cast<float*>(states[static_cast<size_t>(s)]);
    }
    if (checkpoints.defined()) {
      segment.checkpoints = checkpoints.data<float>() + first.data<int64_t>()[s] * E * N;
    }
    const bool step =
        segment.rows <= step_rows && segment.state != nullptr && segment.checkpoints == nullptr;
    (step ? kernels.step : kernels.scan)(inputs.arguments, segment, begin, end, rows_of(y));
  });
}

// Partial sums of what all rows or all channels add to. Their number depends on shapes alone, and
// they are summed in order: the bits do not depend on the number of threads.
struct Partials {
  int64_t groups, buckets, master_size;
  Tensor bc;       // (groups of channels, T, 2 N)
  Tensor masters;  // (buckets of segments, E (N + 2)): d_a_log, d_skip, d_dt_bias
};

Partials make_partials(const SelectiveScanInputs& in, const Segments& segments, Arena& arena) {
  constexpr int64_t max_buckets = 8;
  const int64_t E = in.u.dim(1), N = in.b.dim(1);
  Partials out;
  out.groups = ceil_div(E, scan_backward_channels);
  out.buckets = std::clamp<int64_t>(segments.count(), 1, max_buckets);
  out.master_size = E * (N + 2);
  out.bc = Tensor::empty({out.groups, segments.rows(), 2 * N}, DType::f32, arena);
  out.masters = Tensor::zeros({out.buckets, out.master_size}, DType::f32, arena);
  return out;
}

void add_partials(const Partials& partials, const SelectiveScanInputs& in,
                  const SelectiveScanGradients& gradients) {
  const ScanKernels& kernels = scan_kernels();
  const int64_t T = in.u.dim(0), E = in.u.dim(1), N = in.b.dim(1);
  parallel_ranges(T, 64, [&](int64_t begin, int64_t end) {
    kernels.sum_bc(partials.bc.data<float>(), partials.groups, T * 2 * N, N, begin, end,
                   rows_of(gradients.b), rows_of(gradients.c));
  });
  const auto* masters = partials.masters.data<float>();
  const auto add = [&](int64_t offset, const Tensor& gradient) {
    kernels.add_parts(masters + offset, partials.buckets, partials.master_size, gradient.elements(),
                      gradient.data<float>());
  };
  add(0, gradients.a_log);
  add(E * N, gradients.skip);
  add(E * (N + 1), gradients.dt_bias);
}

void backward_with_kernels(const SelectiveScanInputs& in, const Segments& segments,
                           const Tensor& checkpoints, const Tensor& d_y,
                           const SelectiveScanGradients& gradients) {
  const ScanKernels& kernels = scan_kernels();
  Arena& arena = d_y.arena();
  const KernelInputs inputs = prepare(in, arena);
  const Tensor first = first_checkpoints(segments, arena);
  const int64_t T = segments.rows(), E = in.u.dim(1), N = in.b.dim(1);
  const Partials partials = make_partials(in, segments, arena);
  if (any_meta(in.u, d_y)) {
    return;
  }
  parallel_for(partials.groups * partials.buckets, [&](int64_t task) {
    const int64_t group = task % partials.groups, bucket = task / partials.groups;
    const int64_t begin = group * scan_backward_channels;
    const int64_t end = std::min(E, begin + scan_backward_channels);
    float* masters = partials.masters.data<float>() + bucket * partials.master_size;
    ScanBackward work;
    work.in = inputs.arguments;
    work.d_y = const_rows_of(d_y);
    work.d_u = rows_of(gradients.u);
    work.d_dt_raw = rows_of(gradients.dt_raw);
    work.d_bc = partials.bc.data<float>() + group * T * 2 * N;
    work.d_a_log = masters;
    work.d_skip = masters + E * N;
    work.d_dt_bias = masters + E * (N + 1);
    for (int s = 0; s < segments.count(); ++s) {
      ScanSegment segment;
      segment.row = segments.begin[static_cast<size_t>(s)];
      segment.rows = segments.rows(s);
      if (segment.rows == 0 || segment.row * partials.buckets / T != bucket) {
        continue;
      }
      segment.checkpoints = checkpoints.data<float>() + first.data<int64_t>()[s] * E * N;
      kernels.backward(work, segment, begin, end);
    }
  });
  add_partials(partials, in, gradients);
}

}  // namespace

int64_t scan_checkpoints(const Segments& segments) {
  int64_t count = 0;
  for (int s = 0; s < segments.count(); ++s) {
    count += ceil_div(segments.rows(s), scan_checkpoint_rows);
  }
  return count;
}

void selective_scan(const SelectiveScanInputs& in, const Segments& segments,
                    std::span<void* const> states, const Tensor& y, const Tensor& checkpoints) {
  check_operands(in, segments);
  const int64_t E = in.u.dim(1), N = in.b.dim(1);
  const DType master = master_dtype(in.u.dtype());
  expect(op, "y", y, in.u.shape(), {in.u.dtype()});
  if (checkpoints.defined()) {
    expect(op, "checkpoints", checkpoints, {scan_checkpoints(segments), E, N}, {master});
    check(checkpoints.contiguous(), "checkpoints are contiguous");
  }
  check(states.empty() || static_cast<int>(states.size()) == segments.count(),
        "there is a state, or null, for every segment");
  if (cost_is_metered()) {
    const double kept = count_states(states, any_meta(in.u));
    count_cost({.other_flops = scan_flops(in),
                .weight_bytes = bytes_of(in.a_log, in.skip, in.dt_bias),
                .state_bytes = 2 * kept * bytes_of(in.a_log),
                .activation_bytes = bytes_of(in.u, in.dt_raw, in.b, in.c, y, checkpoints)});
  }
  if (dry_reference(in.u.dtype(), in.u, y)) {
    return;
  }
  if (runs_reference(in.u.dtype())) {
    run_reference(in.u.dtype(), [&](auto& staging) {
      const auto data = stage_inputs(staging, in);
      ref::selective_scan(data, segments, states, staging.out(y), staging.out(checkpoints));
    });
    return;
  }
  scan_with_kernels(in, segments, states, y, checkpoints);
}

void selective_scan_backward(const SelectiveScanInputs& in, const Segments& segments,
                             const Tensor& checkpoints, const Tensor& d_y,
                             const SelectiveScanGradients& gradients) {
  check_operands(in, segments);
  const int64_t E = in.u.dim(1), N = in.b.dim(1);
  const DType data = in.u.dtype(), master = master_dtype(data);
  expect(op, "checkpoints", checkpoints, {scan_checkpoints(segments), E, N}, {master});
  expect(op, "d_y", d_y, in.u.shape(), {data});
  expect(op, "d_u", gradients.u, in.u.shape(), {data});
  expect(op, "d_dt_raw", gradients.dt_raw, in.u.shape(), {data});
  expect(op, "d_b", gradients.b, in.b.shape(), {data});
  expect(op, "d_c", gradients.c, in.b.shape(), {data});
  expect(op, "d_a_log", gradients.a_log, {E, N}, {master});
  expect(op, "d_skip", gradients.skip, {E}, {master});
  expect(op, "d_dt_bias", gradients.dt_bias, {E}, {master});
  check(gradients.a_log.contiguous(), "d_a_log is contiguous");
  if (cost_is_metered()) {
    // The scan once more, and about twice its operations for the gradients.
    count_cost(
        {.other_flops = 3 * scan_flops(in),
         .weight_bytes = bytes_of(in.a_log, in.skip, in.dt_bias) +
                         2 * bytes_of(gradients.a_log, gradients.skip, gradients.dt_bias),
         .activation_bytes = bytes_of(in.u, in.dt_raw, in.b, in.c, checkpoints, d_y) +
                             bytes_of(gradients.u, gradients.dt_raw, gradients.b, gradients.c)});
  }
  if (segments.rows() == 0 || dry_reference(data, in.u, d_y)) {
    return;
  }
  if (runs_reference(data)) {
    run_reference(data, [&](auto& staging) {
      const auto inputs = stage_inputs(staging, in);
      ref::selective_scan_backward(
          inputs, segments, staging.in(d_y),
          {staging.out(gradients.u), staging.out(gradients.dt_raw), staging.out(gradients.b),
           staging.out(gradients.c), staging.out(gradients.a_log), staging.out(gradients.skip),
           staging.out(gradients.dt_bias)});
    });
    return;
  }
  backward_with_kernels(in, segments, checkpoints, d_y, gradients);
}

}  // namespace sambay::ops
