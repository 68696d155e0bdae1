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

// Times calls of `work`, after one that is not counted, for about `seconds` and at least thrice.
Timing time_runs(double seconds, const std::function<void()>& work);

struct TimedWork {
  std::function<void()> prepare;  // not timed
  std::function<void()> run;
};
// Times several works in turn, a run of each a round, for about `seconds` each and at least thrice;
// every run stands between two of `ceiling`, whose mean rate per second counts for it. So on a
// machine that moves, works are compared with each other and with the ceiling where it stands.
std::vector<Timing> time_in_turn(double seconds, const std::vector<TimedWork>& works,
                                 const std::function<double()>& ceiling);

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
