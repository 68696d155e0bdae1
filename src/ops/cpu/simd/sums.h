// Sums of partial results in a fixed order. After vec.h.
#pragma once

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

// out = the sum of `count` arrays of n numbers that lie `stride` apart.
template <class T>
SAMBAY_INLINE void sum_parts(const float* parts, int64_t count, int64_t stride, int64_t n, T* out) {
  for_lanes(n, [&](int64_t i, auto some) {
    Vec total = load(parts + i, some);
    for (int64_t p = 1; p < count; ++p) {
      total += load(parts + p * stride + i, some);
    }
    store(out + i, total, some);
  });
}

// out += that sum.
[[maybe_unused]] static void add_parts(const float* parts, int64_t count, int64_t stride, int64_t n,
                                       float* out) {
  for_lanes(n, [&](int64_t i, auto some) {
    Vec total = load(parts + i, some);
    for (int64_t p = 1; p < count; ++p) {
      total += load(parts + p * stride + i, some);
    }
    store(out + i, load(out + i, some) + total, some);
  });
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
