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

// All threads read pieces of the buffer that none has read since the caches forgot them. Memory is
// shared, so the clock is the wall's; but it is never slower than what one thread alone gets from
// it.
double read_bytes_per_second(const CeilingOptions& options, const CeilingKernels& kernels) {
  constexpr size_t least_arena = size_t{1} << 28;
  Arena arena(Device::cpu, std::max(least_arena, 2 * options.buffer_bytes));
  const auto count = static_cast<int64_t>(options.buffer_bytes / sizeof(float));
  const Tensor buffer = Tensor::empty({count}, DType::f32, arena);
  auto* data = buffer.data<float>();
  parallel_ranges(count, int64_t{1} << 20,
                  [&](int64_t begin, int64_t end) { std::fill(data + begin, data + end, 1.0F); });
  const int64_t piece = std::min(count, int64_t{1} << 22);
  int64_t at = 0;
  const auto read = [&](int64_t begin, int64_t end) {
    volatile float sink = kernels.read(data + at + begin, end - begin);
    static_cast<void>(sink);
  };
  const auto next_piece = [&] {
    at = at + 2 * piece <= count ? at + piece : 0;
    return static_cast<double>(piece) * sizeof(float);
  };
  const double alone = best_rate(options.seconds_per_figure / 2, CLOCK_THREAD_CPUTIME_ID, [&] {
    read(0, piece);
    return next_piece();
  });
  const double together = best_rate(options.seconds_per_figure, CLOCK_MONOTONIC, [&] {
    parallel_ranges(piece, 4096, read);
    return next_piece();
  });
  return std::max(alone, together);
}

}  // namespace

Ceilings measure_ceilings(const CeilingOptions& options) {
  const Isa level = isa() == Isa::reference ? Isa::portable : isa();
  const ScopedIsa scope(level);
  const CeilingKernels& kernels = ceiling_kernels();
  return {.read_bytes_per_second = read_bytes_per_second(options, kernels),
          .f32_flops_per_second = flops_per_second(options.seconds_per_figure, kernels.f32),
          .bf16_flops_per_second = flops_per_second(
              options.seconds_per_figure, level == Isa::amx ? run_amx_bf16 : kernels.bf16)};
}

}  // namespace sambay::ops
