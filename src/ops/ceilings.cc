#include "ops/ceilings.h"

#include <algorithm>
#include <chrono>

#include "base/threads.h"
#include "ops/cpu/amx_ceiling.h"
#include "ops/cpu/ceiling_kernels.h"
#include "ops/cpu/select.h"
#include "tensor/tensor.h"

namespace sambay::ops {

SAMBAY_KERNELS(CeilingKernels, ceiling_kernels);

namespace {

// Long beside a fork and join, short beside a time slice of the scheduler.
constexpr double trial_seconds = 1e-3;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The best rate of trials that each return how much was done.
template <class Trial>
double best_rate(double seconds, Trial trial) {
  double best = 0;
  const double end = now() + seconds;
  do {
    const double begin = now();
    const double amount = trial();
    best = std::max(best, amount / (now() - begin));
  } while (now() < end);
  return best;
}

double flops_per_second(double seconds, double (*loop)(int64_t, float*)) {
  const auto one_thread = [&](int64_t steps) {
    float sink = 0.5F;
    return loop(steps, &sink);
  };
  int64_t steps = 1000;
  double begin = now();
  for (one_thread(steps); now() - begin < trial_seconds; one_thread(steps)) {
    steps *= 2;
    begin = now();
  }
  const int threads = num_threads();
  const double flops_per_step = one_thread(1);
  return best_rate(seconds, [&] {
    parallel_for(threads, [&](int64_t) { one_thread(steps); });
    return flops_per_step * static_cast<double>(steps) * threads;
  });
}

double read_bytes_per_second(const CeilingOptions& options, const CeilingKernels& kernels) {
  Arena arena(Device::cpu, options.buffer_bytes + (size_t{1} << 22));
  const auto count = static_cast<int64_t>(options.buffer_bytes / sizeof(float));
  const Tensor buffer = Tensor::empty({count}, DType::f32, arena);
  auto* data = buffer.data<float>();
  parallel_ranges(count, 1 << 20,
                  [&](int64_t begin, int64_t end) { std::fill(data + begin, data + end, 1.0F); });
  // A piece is larger than the caches of small machines, and comes back after the whole buffer
  // only.
  const int64_t piece = std::min<int64_t>(count, 1 << 24);
  int64_t at = 0;
  return best_rate(options.seconds_per_figure, [&] {
    at = at + 2 * piece <= count ? at + piece : 0;
    parallel_ranges(piece, 4096, [&](int64_t begin, int64_t end) {
      volatile float sink = kernels.read(data + at + begin, end - begin);
      static_cast<void>(sink);
    });
    return static_cast<double>(piece) * sizeof(float);
  });
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
