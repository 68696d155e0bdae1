// Times of repeated work, and the machine's ceilings measured between them.
#pragma once

#include <cstdint>
#include <functional>

#include "ops/ceilings.h"

namespace sambay {

struct Timing {
  double median = 0, best = 0;  // seconds
  // Seconds of processor time of the whole process, the best run's: with one thread, what the work
  // takes on a machine that others use too.
  double processor = 0;
  int64_t runs = 0;
};

// Times calls of `work`, after one that is not counted, for about `seconds` and at least thrice.
Timing time_runs(double seconds, const std::function<void()>& work);

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
