#include "ops/ref/elementwise.h"

#include <cmath>

namespace sambay::ops::ref {

template <class Real>
void silu_mul(const Real* gate, const Real* up, int64_t count, Real* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  }
}

template <class Real>
void silu_mul_backward(const Real* gate, const Real* up, const Real* d_out, int64_t count,
                       Real* d_gate, Real* d_up) {
  for (int64_t i = 0; i < count; ++i) {
    const Real s = 1 / (1 + std::exp(-gate[i]));
    if (d_gate != nullptr) {
      d_gate[i] = d_out[i] * up[i] * s * (1 + gate[i] * (1 - s));
    }
    if (d_up != nullptr) {
      d_up[i] = d_out[i] * gate[i] * s;
    }
  }
}

template <class Real>
void add_scaled(const Real* x, const Real* y, Real scale, int64_t count, Real* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = (x != nullptr ? x[i] : Real(0)) + scale * y[i];
  }
}

double rope_angle(int64_t position, int64_t n, int64_t width, double base) {
  const double exponent = -2.0 * static_cast<double>(n) / static_cast<double>(width);
  return static_cast<double>(position) * std::pow(base, exponent);
}

template <class Real>
void rope(const Real* x, const Segments& segments, double base, bool inverse, int64_t heads,
          int64_t width, Real* out) {
  const int64_t half = width / 2;
  for (int s = 0; s < segments.count(); ++s) {
    const auto at = static_cast<size_t>(s);
    for (int64_t i = 0; i < segments.rows(s); ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t head = ((segments.begin[at] + i) * heads + h) * width;
        for (int64_t n = 0; n < half; ++n) {
          const double angle = rope_angle(segments.past[at] + i, n, width, base);
          const Real c = static_cast<Real>(std::cos(angle));
          const Real d = static_cast<Real>(inverse ? -std::sin(angle) : std::sin(angle));
          const Real a = x[head + n], b = x[head + half + n];
          out[head + n] = a * c - b * d;
          out[head + half + n] = b * c + a * d;
        }
      }
    }
  }
}

#define SAMBAY_INSTANTIATE(Real)                                                                 \
  template void silu_mul(const Real*, const Real*, int64_t, Real*);                              \
  template void silu_mul_backward(const Real*, const Real*, const Real*, int64_t, Real*, Real*); \
  template void add_scaled(const Real*, const Real*, Real, int64_t, Real*);                      \
  template void rope(const Real*, const Segments&, double, bool, int64_t, int64_t, Real*)
SAMBAY_INSTANTIATE(float);
SAMBAY_INSTANTIATE(double);
#undef SAMBAY_INSTANTIATE

}  // namespace sambay::ops::ref
