#include "ops/ref/causal_conv1d.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sambay::ops::ref {
namespace {

// The state and the rows of segment s, one after the other: (W - 1 + rows, E).
template <class Real>
std::vector<Real> with_history(const ConvData<Real>& in, const Segments& segments, int s,
                               const Real* state) {
  const int64_t E = in.channels, history = (in.taps - 1) * E;
  std::vector<Real> out(static_cast<size_t>(history + segments.rows(s) * E));
  if (state != nullptr) {
    std::copy_n(state, history, out.begin());
  }
  std::copy_n(in.x + segments.begin[static_cast<size_t>(s)] * E, segments.rows(s) * E,
              out.begin() + history);
  return out;
}

// The sum under the activation for row i of a segment and channel e.
template <class Real>
Real preactivation(const ConvData<Real>& in, const std::vector<Real>& x, int64_t i, int64_t e) {
  Real sum = in.bias != nullptr ? in.bias[e] : Real(0);
  for (int64_t j = 0; j < in.taps; ++j) {
    sum += in.weight[e * in.taps + j] * x[static_cast<size_t>((i + j) * in.channels + e)];
  }
  return sum;
}

}  // namespace

template <class Real>
void causal_conv1d(const ConvData<Real>& in, const Segments& segments,
                   std::span<void* const> states, Real* out) {
  const int64_t E = in.channels;
  for (int s = 0; s < segments.count(); ++s) {
    const auto at = static_cast<size_t>(s);
    auto* state = states.empty() ? nullptr : static_cast<Real*>(states[at]);
    const std::vector<Real> x = with_history(in, segments, s, state);
    for (int64_t i = 0; i < segments.rows(s); ++i) {
      for (int64_t e = 0; e < E; ++e) {
        const Real sum = preactivation(in, x, i, e);
        out[(segments.begin[at] + i) * E + e] = in.silu ? sum / (1 + std::exp(-sum)) : sum;
      }
    }
    if (state != nullptr) {
      std::copy(x.end() - (in.taps - 1) * E, x.end(), state);
    }
  }
}

template <class Real>
void causal_conv1d_backward(const ConvData<Real>& in, const Segments& segments, const Real* d_out,
                            Real* d_x, Real* d_weight, Real* d_bias) {
  const int64_t E = in.channels, W = in.taps;
  std::fill(d_x, d_x + segments.rows() * E, Real(0));
  for (int s = 0; s < segments.count(); ++s) {
    const int64_t begin = segments.begin[static_cast<size_t>(s)];
    const std::vector<Real> x = with_history<Real>(in, segments, s, nullptr);
    for (int64_t i = 0; i < segments.rows(s); ++i) {
      for (int64_t e = 0; e < E; ++e) {
        const Real sum = preactivation(in, x, i, e), sigmoid = 1 / (1 + std::exp(-sum));
        const Real slope = in.silu ? sigmoid * (1 + sum * (1 - sigmoid)) : Real(1);
        const Real d_sum = d_out[(begin + i) * E + e] * slope;
        if (d_bias != nullptr) {
          d_bias[e] += d_sum;
        }
        for (int64_t j = 0; j < W; ++j) {
          d_weight[e * W + j] += d_sum * x[static_cast<size_t>((i + j) * E + e)];
          if (const int64_t row = i + j - (W - 1); row >= 0) {
            d_x[(begin + row) * E + e] += d_sum * in.weight[e * W + j];
          }
        }
      }
    }
  }
}

#define SAMBAY_INSTANTIATE(Real)                                                                   \
  template void causal_conv1d(const ConvData<Real>&, const Segments&, std::span<void* const>,      \
                              Real*);                                                              \
  template void causal_conv1d_backward(const ConvData<Real>&, const Segments&, const Real*, Real*, \
                                       Real*, Real*)
SAMBAY_INSTANTIATE(float);
SAMBAY_INSTANTIATE(double);
#undef SAMBAY_INSTANTIATE

}  // namespace sambay::ops::ref
