#include "perf/clock.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <vector>

namespace sambay {
namespace {

constexpr int64_t least_runs = 3;
constexpr double patience = 60;  // seconds of a work's runs after which fewer will do

bool is_enough(double seconds, int64_t runs, double total) {
  return (runs >= least_runs && total >= seconds) || (runs > 0 && total >= patience);
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class Runs {
 public:
  void add(const TimedWork& work) {
    using Clock = std::chrono::steady_clock;
    work.prepare();
    const double processor_begin = processor_seconds();
    const auto begin = Clock::now();
    work.run();
    times_.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    processor_ = std::min(processor_, processor_seconds() - processor_begin);
    total_ += times_.back();
  }
  void add_ceiling(double rate) { ceiling_work_.push_back(times_.back() * rate); }
  double total() const { return total_; }

  Timing timing() const {
    return {.median = median_of(times_),
            .best = *std::ranges::min_element(times_),
            .processor = processor_,
            .runs = static_cast<int64_t>(times_.size()),
            .ceiling_work = median_of(ceiling_work_)};
  }

 private:
  std::vector<double> times_, ceiling_work_;
  double total_ = 0, processor_ = std::numeric_limits<double>::infinity();
};

}  // namespace

Timing time_runs(double seconds, const TimedWork& work) {
  return time_in_turn(seconds, {work}, [] { return 0.0; })[0];
}

Timing time_runs(double seconds, const std::function<void()>& work) {
  return time_runs(seconds, TimedWork{[] {}, work});
}

int64_t expected_runs(double seconds, double run_seconds) {
  const auto until = [run_seconds](double total) {
    constexpr double shortest_run = 1e-6;
    return static_cast<int64_t>(std::ceil(total / std::max(run_seconds, shortest_run)));
  };
  return std::min(std::max(least_runs, until(seconds)), until(patience));
}

std::vector<Timing> time_in_turn(double seconds, const std::vector<TimedWork>& works,
                                 const std::function<double()>& ceiling) {
  for (const TimedWork& work : works) {
    work.prepare();
    (work.warm_up ? work.warm_up : work.run)();
  }
  std::vector<Runs> runs(works.size());
  double before = ceiling();
  for (int64_t round = 0; !is_enough(seconds, round, runs[0].total()); ++round) {
    for (size_t i = 0; i < works.size(); ++i) {
      runs[i].add(works[i]);
      const double after = ceiling();
      runs[i].add_ceiling((before + after) / 2);
      before = after;
    }
  }
  std::vector<Timing> timings;
  for (const Runs& r : runs) {
    timings.push_back(r.timing());
  }
  return timings;
}

void CeilingWatch::sample() {
  const ops::Ceilings now = ops::measure_ceilings(options_);
  best_.read_bytes_per_second = std::max(best_.read_bytes_per_second, now.read_bytes_per_second);
  best_.f32_flops_per_second = std::max(best_.f32_flops_per_second, now.f32_flops_per_second);
  best_.bf16_flops_per_second = std::max(best_.bf16_flops_per_second, now.bf16_flops_per_second);
}

}  // namespace sambay
