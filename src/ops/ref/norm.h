// RMS norm and layer norm as their formulas have them. `centred` is layer norm.
#pragma once

#include <cstdint>

namespace sambay::ops::ref {

// x and out (rows, width); bias may be null.
template <class Real>
void norm(const Real* x, const Real* weight, const Real* bias, bool centred, Real eps, int64_t rows,
          int64_t width, Real* out);

// d_bias may be null.
template <class Real>
void norm_backward(const Real* x, const Real* weight, bool centred, Real eps, int64_t rows,
                   int64_t width, const Real* d_out, Real* d_x, Real* d_weight, Real* d_bias);

}  // namespace sambay::ops::ref
