// The scan as the formula has it. Contiguous operands; Real is float or double.
#pragma once

#include <span>

#include "ops/segments.h"

namespace sambay::ops::ref {

template <class Real>
struct ScanData {
  int64_t channels, state_size;        // E, N
  const Real *u, *dt_raw, *b, *c;      // (T, E), (T, E), (T, N), (T, N)
  const Real *a_log, *skip, *dt_bias;  // (E, N), (E), (E)
};

template <class Real>
struct ScanGradientData {
  Real *u, *dt_raw, *b, *c;      // overwritten
  Real *a_log, *skip, *dt_bias;  // added to
};

template <class Real>
void selective_scan(const ScanData<Real>& in, const Segments& segments,
                    std::span<void* const> states, Real* y, Real* checkpoints);

// Keeps every X of a segment instead of starting from checkpoints.
template <class Real>
void selective_scan_backward(const ScanData<Real>& in, const Segments& segments, const Real* d_y,
                             const ScanGradientData<Real>& gradients);

}  // namespace sambay::ops::ref
