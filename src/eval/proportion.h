// A share of trials, with what is certain of it.
#pragma once

#include <cstdint>

namespace sambay {

struct Interval {
  double low = 0, high = 1;
};

// The 95 % confidence interval of a proportion: Wilson, "Probable inference", JASA 22, 1927. (0, 1)
// without trials.
Interval wilson_interval(int64_t successes, int64_t trials);

}  // namespace sambay
