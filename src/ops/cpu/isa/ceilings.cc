#include "ops/cpu/ceiling_kernels.h"
#include "ops/cpu/simd/multiply.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Enough independent sums for the latency of a multiply-add on two ports, few enough for the
// registers.
constexpr int sums = lanes >= 16 ? 24 : 12;

float total(const Vec (&s)[sums]) {
  Vec all = set1(0.0F);
  for (const Vec v : s) {
    all = all + v;
  }
  return sum(all);
}

// s = s / 2 + 1 stays finite, and no part of it can be computed once for all steps.
double run_f32(int64_t steps, float* sink) {
  const Vec half = set1(*sink), one = half + half;
  Vec s[sums];
  for (int i = 0; i < sums; ++i) {
    s[i] = set1(static_cast<float>(i));
  }
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < sums; ++i) {
      s[i] = fma(s[i], half, one);
    }
  }
  *sink = total(s);
  return 2.0 * lanes * sums * static_cast<double>(steps);
}

#if defined(__AVX512BF16__)
double run_bf16(int64_t steps, float* sink) {
  const __m512i x = _mm512_castps_si512(set1(*sink).v);
  Vec s[sums];
  for (int i = 0; i < sums; ++i) {
    s[i] = set1(static_cast<float>(i));
  }
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < sums; ++i) {
      s[i] = StepBf16::add_product(x, x, s[i]);
    }
  }
  *sink = total(s);
  return 2.0 * StepBf16::width * sums * static_cast<double>(steps);
}
#else
double run_bf16(int64_t steps, float* sink) {
  return run_f32(steps, sink);
}
#endif

float read_all(const float* data, int64_t count) {
  constexpr int streams = 8;
  Vec s[streams];
  for (Vec& v : s) {
    v = set1(0.0F);
  }
  for (int64_t i = 0; i + streams * lanes <= count; i += streams * lanes) {
#pragma GCC unroll 8
    for (int j = 0; j < streams; ++j) {
      s[j] = s[j] + load(data + i + j * lanes);
    }
  }
  Vec all = set1(0.0F);
  for (const Vec v : s) {
    all = all + v;
  }
  return sum(all);
}

}  // namespace

extern const CeilingKernels ceiling_kernels;
const CeilingKernels ceiling_kernels = {run_f32, run_bf16, read_all};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
