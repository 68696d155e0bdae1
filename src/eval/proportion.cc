#include "eval/proportion.h"

#include <algorithm>
#include <cmath>

namespace sambay {

Interval wilson_interval(int64_t successes, int64_t trials) {
  if (trials == 0) {
    return {};
  }
  constexpr double z = 1.959963984540054;  // 97.5 % of a normal distribution lie below
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double scale = 1 / (1 + z * z / n);
  const double centre = (p + z * z / (2 * n)) * scale;
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) * scale;
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace sambay
