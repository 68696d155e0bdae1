// The causal convolution as its formula has it. Contiguous operands.
#pragma once

#include <span>

#include "ops/segments.h"

namespace sambay::ops::ref {

template <class Real>
struct ConvData {
  int64_t channels, taps;         // E, W
  const Real *x, *weight, *bias;  // (T, E), (E, W), (E) or null
  bool silu;
};

template <class Real>
void causal_conv1d(const ConvData<Real>& in, const Segments& segments,
                   std::span<void* const> states, Real* out);

// d_x overwritten, d_weight and d_bias (may be null) added to.
template <class Real>
void causal_conv1d_backward(const ConvData<Real>& in, const Segments& segments, const Real* d_out,
                            Real* d_x, Real* d_weight, Real* d_bias);

}  // namespace sambay::ops::ref
