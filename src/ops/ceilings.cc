#include "ops/ceilings.h"

#include <time.h>

#include <algorithm>
#include <atomic>

#include "base/threads.h"
#include "ops/cpu/amx_ceiling.h"
#include "ops/cpu/ceiling_kernels.h"
#include "ops/cpu/select.h"
#include "tensor/tensor.h"

namespace sambay::ops {

SAMBAY_KERNELS(CeilingKernels, ceiling_kernels);

namespace {

// Long beside the resolution of the clocks and a fork and join, short beside a time slice.
constexpr double trial_seconds = 1e-3;

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best rate, per second of `clock`, of trials that each return how much they did.
template <class Trial>
double best_rate(double seconds, clockid_t clock, Trial trial) {
  double best = 0;
  const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
  do {
    const double begin = seconds_of(clock);
    const double amount = trial();
    best = std::max(best, amount / (seconds_of(clock) - begin));
  } while (seconds_of(CLOCK_MONOTONIC) < end);
  return best;
}

// Cores share no arithmetic: each thread's best by its own clock of processor time, so that a
// neighbour who takes the processor away lowers nothing.
double flops_per_second(double seconds, double (*loop)(int64_t, float*)) {
  const auto run = [&](int64_t steps) {
    float sink = 0.5F;
    return loop(steps, &sink);
  };
  int64_t steps = 1000;
  for (double taken = 0; taken < trial_seconds; steps *= 2) {
    const double begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    run(steps);
    taken = seconds_of(CLOCK_THREAD_CPUTIME_ID) - begin;
  }
  std::atomic<double> sum = 0;
  parallel_for(num_threads(), [&](int64_t) {
    sum += best_rate(seconds, CLOCK_THREAD_CPUTIME_ID, [&] { return run(steps); });
  });
  return sum;
}

// Memory is shared, so its clock is the wall's; but it is never slower than what one thread alone
// gets from it.
double read_bytes_per_second(const CeilingOptions& options) {
  constexpr size_t trial_bytes = size_t{1} << 24;
  ReadCeiling memory(options.buffer_bytes);
  const auto best_of = [&](auto pass) {
    double best = 0;
    const double end = seconds_of(CLOCK_MONOTONIC) + options.seconds_per_figure;
    do {
      best = std::max(best, (memory.*pass)(trial_bytes));
    } while (seconds_of(CLOCK_MONOTONIC) < end);
    return best;
  };
  return std::max(best_of(&ReadCeiling::pass_alone), best_of(&ReadCeiling::pass));
}

// The reference level has no loops of its own.
Isa measured_level() {
  return isa() == Isa::reference ? Isa::portable : isa();
}

}  // namespace

ReadCeiling::ReadCeiling(size_t buffer_bytes)
    : arena_(Device::cpu, std::max(size_t{1} << 28, 2 * buffer_bytes)) {
  constexpr int64_t piece = int64_t{1} << 18;
  const auto floats = static_cast<int64_t>(buffer_bytes / sizeof(float));
  buffer_ = Tensor::empty({std::max<int64_t>(1, floats / piece), piece}, DType::f32, arena_);
  parallel_for(buffer_.dim(0),
               [&](int64_t i) { std::fill_n(buffer_.data<float>() + i * piece, piece, 1.0F); });
}

double ReadCeiling::pass(size_t bytes) {
  return timed_pass(bytes, false);
}

double ReadCeiling::pass_alone(size_t bytes) {
  return timed_pass(bytes, true);
}

double ReadCeiling::timed_pass(size_t bytes, bool alone) {
  const ScopedIsa scope(measured_level());
  const auto read = ceiling_kernels().read;
  const int64_t pieces = buffer_.dim(0), piece = buffer_.dim(1);
  const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(bytes / sizeof(float)) / piece);
  const auto read_piece = [&](int64_t i) {
    volatile float sink = read(buffer_.data<float>() + (next_ + i) % pieces * piece, piece);
    static_cast<void>(sink);
  };
  const clockid_t clock = alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const double begin = seconds_of(clock);
  if (alone) {
    for (int64_t i = 0; i < count; ++i) {
      read_piece(i);
    }
  } else {
    parallel_for(count, read_piece);
  }
  const double seconds = seconds_of(clock) - begin;
  next_ = (next_ + count) % pieces;
  return static_cast<double>(count * piece) * sizeof(float) / seconds;
}

Ceilings measure_ceilings(const CeilingOptions& options) {
  const Isa level = measured_level();
  const ScopedIsa scope(level);
  const CeilingKernels& kernels = ceiling_kernels();
  return {.read_bytes_per_second = read_bytes_per_second(options),
          .f32_flops_per_second = flops_per_second(options.seconds_per_figure, kernels.f32),
          .bf16_flops_per_second = flops_per_second(
              options.seconds_per_figure, level == Isa::amx ? run_amx_bf16 : kernels.bf16)};
}

}  // namespace sambay::ops
