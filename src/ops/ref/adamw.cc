#include "ops/ref/adamw.h"

#include <cmath>

namespace sambay::ops::ref {

template <class Real>
void adamw(const AdamwArrays<Real>& arrays, const AdamwOptions& options) {
  const auto steps = static_cast<double>(options.step);
  const double m_correction = 1 - std::pow(options.beta1, steps);
  const double v_correction = 1 - std::pow(options.beta2, steps);
  for (int64_t i = 0; i < arrays.count; ++i) {
    const double g = options.gradient_scale * arrays.gradient[i];
    const double m = options.beta1 * arrays.m[i] + (1 - options.beta1) * g;
    const double v = options.beta2 * arrays.v[i] + (1 - options.beta2) * g * g;
    const double direction = (m / m_correction) / (std::sqrt(v / v_correction) + options.epsilon);
    const double p = arrays.master[i];
    arrays.m[i] = static_cast<Real>(m);
    arrays.v[i] = static_cast<Real>(v);
    arrays.master[i] =
        static_cast<Real>(p - (options.decay * p + options.learning_rate * direction));
    arrays.gradient[i] = 0;
    if (arrays.compute != nullptr) {
      arrays.compute[i] = arrays.master[i];
    }
  }
}

template <class Real>
double sum_of_squares(const Real* x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

template void adamw<float>(const AdamwArrays<float>&, const AdamwOptions&);
template void adamw<double>(const AdamwArrays<double>&, const AdamwOptions&);
template double sum_of_squares<float>(const float*, int64_t);
template double sum_of_squares<double>(const double*, int64_t);

}  // namespace sambay::ops::ref
