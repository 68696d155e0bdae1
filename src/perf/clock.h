// Times of repeated work, and the machine's ceilings measured between them.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ops/ceilings.h"

namespace sambay {

struct Timing {
  double median = 0, best = 0;  // seconds
  // Seconds of processor time of the whole process, the best run's: with one thread, what the work
  // takes on a machine that others use too.
  double processor = 0;
  int64_t runs = 0;
  // The median over the runs of what the ceiling would have done meanwhile (time_in_turn).
  double ceiling_work = 0;
};

struct TimedWork {
  std::function<void()> prepare;  // not timed
  std::function<void()> run;
  // What goes before the first run and is not counted; none: a run.
  std::function<void()> warm_up = {};
};
// Times runs for about `seconds` and at least thrice, but no more of them after a minute.
Timing time_runs(double seconds, const TimedWork& work);
Timing time_runs(double seconds, const std::function<void()>& work);
// Times several works in turn, a run of each a round, as often as time_runs; every run stands
// between two of `ceiling`, whose mean rate per second counts for it. So on a machine that moves,
// works are compared with each other and with the ceiling where it stands.
std::vector<Timing> time_in_turn(double seconds, const std::vector<TimedWork>& works,
                                 const std::function<double()>& ceiling);

// How many runs are counted that take so long each.
int64_t expected_runs(double seconds, double run_seconds);

// The best of several measurements: taken before, between and after the work, so that both meet the
// same machine.
class CeilingWatch {
 public:
  explicit CeilingWatch(const ops::CeilingOptions& options) : options_(options) {}
  void sample();
  const ops::Ceilings& best() const { return best_; }

 private:
  ops::CeilingOptions options_;
  ops::Ceilings best_;
};

}  // namespace sambay
