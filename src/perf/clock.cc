#include "perf/clock.h"

#include <algorithm>
#include <chrono>
#include <ctime>
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
  std::vector<double> times, processor_times;
  for (double total = 0; times.size() < least_runs || total < seconds; total += times.back()) {
    const auto begin = Clock::now();
    const double processor_begin = processor_seconds();
    work();
    processor_times.push_back(processor_seconds() - processor_begin);
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::sort(times);
  std::ranges::sort(processor_times);
  const size_t middle = times.size() / 2;
  return {.median = times[middle],
          .best = times.front(),
          .processor = processor_times[middle],
          .runs = static_cast<int64_t>(times.size())};
}

void CeilingWatch::sample() {
  const ops::Ceilings now = ops::measure_ceilings(options_);
  best_.read_bytes_per_second = std::max(best_.read_bytes_per_second, now.read_bytes_per_second);
  best_.f32_flops_per_second = std::max(best_.f32_flops_per_second, now.f32_flops_per_second);
  best_.bf16_flops_per_second = std::max(best_.bf16_flops_per_second, now.bf16_flops_per_second);
}

}  // namespace sambay
