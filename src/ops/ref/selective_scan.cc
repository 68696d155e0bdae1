#include "ops/ref/selective_scan.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/selective_scan.h"

namespace sambay::ops::ref {
namespace {

template <class Real>
Real softplus(Real x) {
  return std::max(x, Real(0)) + std::log1p(std::exp(-std::abs(x)));
}

// X[t] from X[t - 1], in place, for every channel of row t.
template <class Real>
void advance(const ScanData<Real>& in, int64_t t, Real* x) {
  const int64_t E = in.channels, N = in.state_size;
  for (int64_t e = 0; e < E; ++e) {
    const Real dt = softplus(in.dt_raw[t * E + e] + in.dt_bias[e]);
    for (int64_t n = 0; n < N; ++n) {
      const Real a = -std::exp(in.a_log[e * N + n]);
      Real& state = x[e * N + n];
      state = std::exp(dt * a) * state + dt * in.u[t * E + e] * in.b[t * N + n];
    }
  }
}

// One row of the backward: d_x comes in as the gradient that later rows have for X[t] and leaves as
// the one for X[t - 1].
template <class Real>
void retreat(const ScanData<Real>& in, int64_t t, const Real* before, const Real* after,
             const Real* d_y, Real* d_x, const ScanGradientData<Real>& out) {
  const int64_t E = in.channels, N = in.state_size;
  for (int64_t e = 0; e < E; ++e) {
    const Real raw = in.dt_raw[t * E + e] + in.dt_bias[e];
    const Real dt = softplus(raw), u = in.u[t * E + e], dy = d_y[t * E + e];
    Real d_dt = 0, d_dtu = 0;
    for (int64_t n = 0; n < N; ++n) {
      const int64_t i = e * N + n;
      const Real a = -std::exp(in.a_log[i]);
      const Real decay = std::exp(dt * a);
      const Real g = d_x[i] + dy * in.c[t * N + n];
      out.c[t * N + n] += dy * after[i];
      out.b[t * N + n] += g * dt * u;
      d_dtu += g * in.b[t * N + n];
      const Real d_exponent = g * decay * before[i];
      d_dt += d_exponent * a;
      out.a_log[i] += d_exponent * dt * a;
      d_x[i] = g * decay;
    }
    d_dt += d_dtu * u;
    const Real d_raw = d_dt / (1 + std::exp(-raw));
    out.u[t * E + e] = d_dtu * dt + in.skip[e] * dy;
    out.dt_raw[t * E + e] = d_raw;
    out.dt_bias[e] += d_raw;
    out.skip[e] += dy * u;
  }
}

}  // namespace

template <class Real>
void selective_scan(const ScanData<Real>& in, const Segments& segments,
                    std::span<void* const> states, Real* y, Real* checkpoints) {
  const int64_t E = in.channels, N = in.state_size;
  std::vector<Real> x(static_cast<size_t>(E * N));
  for (int s = 0; s < segments.count(); ++s) {
    const auto at = static_cast<size_t>(s);
    auto* state = states.empty() ? nullptr : static_cast<Real*>(states[at]);
    std::fill(x.begin(), x.end(), Real(0));
    if (state != nullptr) {
      std::copy(state, state + E * N, x.begin());
    }
    for (int64_t i = 0; i < segments.rows(s); ++i) {
      if (checkpoints != nullptr && i % scan_checkpoint_rows == 0) {
        checkpoints = std::copy(x.begin(), x.end(), checkpoints);
      }
      const int64_t t = segments.begin[at] + i;
      advance(in, t, x.data());
      for (int64_t e = 0; e < E; ++e) {
        Real sum = 0;
        for (int64_t n = 0; n < N; ++n) {
          sum += x[static_cast<size_t>(e * N + n)] * in.c[t * N + n];
        }
        y[t * E + e] = sum + in.skip[e] * in.u[t * E + e];
      }
    }
    if (state != nullptr) {
      std::copy(x.begin(), x.end(), state);
    }
  }
}

template <class Real>
void selective_scan_backward(const ScanData<Real>& in, const Segments& segments, const Real* d_y,
                             const ScanGradientData<Real>& gradients) {
  const int64_t E = in.channels, N = in.state_size, size = E * N;
  std::fill(gradients.b, gradients.b + segments.rows() * N, Real(0));
  std::fill(gradients.c, gradients.c + segments.rows() * N, Real(0));
  for (int s = 0; s < segments.count(); ++s) {
    const int64_t begin = segments.begin[static_cast<size_t>(s)], rows = segments.rows(s);
    std::vector<Real> x(static_cast<size_t>((rows + 1) * size)), d_x(static_cast<size_t>(size));
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(&x[static_cast<size_t>(i * size)], size, &x[static_cast<size_t>((i + 1) * size)]);
      advance(in, begin + i, &x[static_cast<size_t>((i + 1) * size)]);
    }
    for (int64_t i = rows - 1; i >= 0; --i) {
      retreat(in, begin + i, &x[static_cast<size_t>(i * size)],
              &x[static_cast<size_t>((i + 1) * size)], d_y, d_x.data(), gradients);
    }
  }
}

template void selective_scan(const ScanData<float>&, const Segments&, std::span<void* const>,
                             float*, float*);
template void selective_scan(const ScanData<double>&, const Segments&, std::span<void* const>,
                             double*, double*);
template void selective_scan_backward(const ScanData<float>&, const Segments&, const float*,
                                      const ScanGradientData<float>&);
template void selective_scan_backward(const ScanData<double>&, const Segments&, const double*,
                                      const ScanGradientData<double>&);

}  // namespace sambay::ops::ref
