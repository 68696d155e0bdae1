#include "perf/clock.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

namespace sambay {
namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Timing time_runs(double seconds, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t least_runs = 3;
  work();
  std::vector<double> times;
  double processor = std::numeric_limits<double>::infinity();
  for (double total = 0; times.size() < least_runs || total < seconds; total += times.back()) {
    const double processor_begin = processor_seconds();
    const auto begin = Clock::now();
    work();
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    processor = std::min(processor, processor_seconds() - processor_begin);
  }
  std::ranges::sort(times);
  return {times[times.size() / 2], times.front(), processor, static_cast<int64_t>(times.size())};
}

void CeilingWatch::sample() {
  const ops::Ceilings now = ops::measure_ceilings(options_);
  best_.read_bytes_per_second = std::max(best_.read_bytes_per_second, now.read_bytes_per_second);
  best_.f32_flops_per_second = std::max(best_.f32_flops_per_second, now.f32_flops_per_second);
  best_.bf16_flops_per_second = std::max(best_.bf16_flops_per_second, now.bf16_flops_per_second);
}

}  // namespace sambay
