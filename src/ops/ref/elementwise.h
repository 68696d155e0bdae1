// The elementwise ops as their formulas have them, over `count` contiguous elements.
#pragma once

#include <cstdint>

#include "ops/segments.h"

namespace sambay::ops::ref {

template <class Real>
void silu_mul(const Real* gate, const Real* up, int64_t count, Real* out);

// d_gate and d_up may be null.
template <class Real>
void silu_mul_backward(const Real* gate, const Real* up, const Real* d_out, int64_t count,
                       Real* d_gate, Real* d_up);

// x may be null: zeros.
template <class Real>
void add_scaled(const Real* x, const Real* y, Real scale, int64_t count, Real* out);

// x and out (T, heads, width).
template <class Real>
void rope(const Real* x, const Segments& segments, double base, bool inverse, int64_t heads,
          int64_t width, Real* out);

// The angle by which pair n of a head `width` wide is turned at `position`.
double rope_angle(int64_t position, int64_t n, int64_t width, double base);

}  // namespace sambay::ops::ref
