#include "ops/ref/norm.h"

#include <cmath>

namespace sambay::ops::ref {
namespace {

template <class Real>
struct Statistics {
  Real mean, scale;  // out = (x - mean) * scale
};

template <class Real>
Statistics<Real> statistics(const Real* x, bool centred, Real eps, int64_t width) {
  const Real D = static_cast<Real>(width);
  Real mean = 0, squares = 0;
  for (int64_t i = 0; centred && i < width; ++i) {
    mean += x[i] / D;
  }
  for (int64_t i = 0; i < width; ++i) {
    squares += (x[i] - mean) * (x[i] - mean);
  }
  return {mean, 1 / std::sqrt(squares / D + eps)};
}

}  // namespace

template <class Real>
void norm(const Real* x, const Real* weight, const Real* bias, bool centred, Real eps, int64_t rows,
          int64_t width, Real* out) {
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const auto [mean, scale] = statistics(x, centred, eps, width);
    for (int64_t i = 0; i < width; ++i) {
      out[i] = (x[i] - mean) * scale * weight[i] + (bias != nullptr ? bias[i] : Real(0));
    }
  }
}

template <class Real>
void norm_backward(const Real* x, const Real* weight, bool centred, Real eps, int64_t rows,
                   int64_t width, const Real* d_out, Real* d_x, Real* d_weight, Real* d_bias) {
  for (int64_t row = 0; row < rows; ++row, x += width, d_out += width, d_x += width) {
    const auto [mean, scale] = statistics(x, centred, eps, width);
    // With h = (x - mean) scale and g = d_out weight:
    //   d_x = scale (g - mean(g) - h mean(g h)), the first mean in layer norm alone.
    Real sum_g = 0, sum_gh = 0;
    for (int64_t i = 0; i < width; ++i) {
      const Real g = d_out[i] * weight[i], h = (x[i] - mean) * scale;
      sum_g += g;
      sum_gh += g * h;
      d_weight[i] += d_out[i] * h;
      if (d_bias != nullptr) {
        d_bias[i] += d_out[i];
      }
    }
    const Real D = static_cast<Real>(width);
    for (int64_t i = 0; i < width; ++i) {
      const Real h = (x[i] - mean) * scale;
      d_x[i] = scale * (d_out[i] * weight[i] - (centred ? sum_g / D : Real(0)) - h * sum_gh / D);
    }
  }
}

#define SAMBAY_INSTANTIATE(Real)                                                                   \
  template void norm(const Real*, const Real*, const Real*, bool, Real, int64_t, int64_t, Real*);  \
  template void norm_backward(const Real*, const Real*, bool, Real, int64_t, int64_t, const Real*, \
                              Real*, Real*, Real*)
SAMBAY_INSTANTIATE(float);
SAMBAY_INSTANTIATE(double);
#undef SAMBAY_INSTANTIATE

}  // namespace sambay::ops::ref
