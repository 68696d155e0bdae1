// AdamW and the sum of squares, written down plainly (ops/adamw.h).
#pragma once

#include <cstdint>

#include "ops/adamw.h"

namespace sambay::ops::ref {

template <class Real>
struct AdamwArrays {
  Real* master;
  Real* gradient;
  Real* m;
  Real* v;
  Real* compute;  // may be null
  int64_t count;
};

template <class Real>
void adamw(const AdamwArrays<Real>& arrays, const AdamwOptions& options);

template <class Real>
double sum_of_squares(const Real* x, int64_t count);

}  // namespace sambay::ops::ref
