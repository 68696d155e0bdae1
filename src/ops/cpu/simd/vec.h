// Vectors of floats for the kernels that are compiled once per instruction set.
// Everything is static and forced inline: nothing of one level can be linked into another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define SAMBAY_INLINE [[maybe_unused, gnu::always_inline]] static inline

#if defined(__AVX512F__)
#include "ops/cpu/simd/vec_avx512.h"
#elif defined(__AVX2__)
#include "ops/cpu/simd/vec_avx2.h"
#else
#include "ops/cpu/simd/vec_portable.h"
#endif

// Every level offers, besides `lanes` and `Vec`:
//   set1; load, store (float, Bf16); load_n, store_n (the first n lanes, 0 <= n <= lanes, the
//   others read as zero); + - * /; fma(a, b, c) = a b + c, fnma(a, b, c) = c - a b; min, max (the
//   second operand when one is NaN); sqrt; round (to nearest even); abs; less_than, any,
//   select;
//   scale2(x, n) = x 2^n for whole n, scale2_normal (neither x nor the result denormal);
//   split (mantissa in [sqrt(1/2), sqrt(2)) and exponent); sum and max_lane over the lanes in one
//   fixed order; store_sums (the sums of four vectors at once).
namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

SAMBAY_INLINE Vec operator-(Vec a) {
  return set1(0.0F) - a;
}
SAMBAY_INLINE void operator+=(Vec& a, Vec b) {
  a = a + b;
}

// 2^f for |f| <= 1/2: the minimax polynomial of degree 6, relative error below 2^-27.
SAMBAY_INLINE Vec exp2_fraction(Vec f) {
  Vec p = set1(1.5469811e-4F);
  p = fma(p, f, set1(1.33909403e-3F));
  p = fma(p, f, set1(9.61803055e-3F));
  p = fma(p, f, set1(5.55035696e-2F));
  p = fma(p, f, set1(2.40226511e-1F));
  p = fma(p, f, set1(6.93147188e-1F));
  return fma(p, f, set1(1.0F));
}

// 2^x for x <= 0, at most 2 ulp off; what is below 2^-125 comes out as 2^-125.
SAMBAY_INLINE Vec exp2_decay(Vec x) {
  x = max(set1(-125.0F), x);
  const Vec n = round(x);
  return scale2_normal(exp2_fraction(x - n), n);
}

// e^x, at most 2 ulp off; denormal results, infinities and NaN as the mathematics has them.
SAMBAY_INLINE Vec exp(Vec x) {
  // The clamp keeps n in the range that scale2 takes; beyond it the result is 0 or infinite anyway.
  x = min(set1(90.0F), max(set1(-105.0F), x));
  const Vec n = round(x * set1(1.44269504088896341F));
  // ln 2 in two pieces, the first with so few digits that n times it is exact.
  Vec r = fnma(n, set1(0.693359375F), x);
  r = fnma(n, set1(-2.12194440e-4F), r);
  // Minimax for (e^r - 1 - r) / r^2: times r^2 below 2^-26.
  Vec p = set1(1.39411793e-3F);
  p = fma(p, r, set1(8.36321713e-3F));
  p = fma(p, r, set1(4.16663745e-2F));
  p = fma(p, r, set1(1.66665767e-1F));
  p = fma(p, r, set1(5.00000003e-1F));
  p = fma(p * r, r, r) + set1(1.0F);
  return scale2(p, n);
}

// log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)], plus n ln 2.
SAMBAY_INLINE Vec log_of_split(Vec f, Vec n) {
  // With s = f / (2 + f): log(1 + f) = 2 s + 2 s^3 / 3 + 2 s^5 / 5 + ..., |s| <= 0.1716.
  const Vec s = f / (f + set1(2.0F));
  const Vec z = s * s;
  Vec p = set1(2.0F / 9.0F);
  p = fma(p, z, set1(2.0F / 7.0F));
  p = fma(p, z, set1(2.0F / 5.0F));
  p = fma(p, z, set1(2.0F / 3.0F));
  // 2 s = f - s f: the leading term keeps all digits of f.
  const Vec tail = fma(s * z, p, n * set1(-2.12194440e-4F));
  const Vec head = fnma(s, f, f);
  return fma(n, set1(0.693359375F), head + tail);
}

// Natural logarithm of a positive, normal, finite x.
SAMBAY_INLINE Vec log(Vec x) {
  Vec n;
  const Vec m = split(x, n);
  return log_of_split(m - set1(1.0F), n);
}

// log(1 + x) for 0 <= x < 2^24, accurate for small x too.
SAMBAY_INLINE Vec log1p(Vec x) {
  const Vec one = set1(1.0F);
  const Vec y = one + x;
  // What the sum rounded away goes back into f, scaled as the mantissa is.
  const Vec lost = select(less_than(one, x), one - (y - x), x - (y - one));
  Vec n;
  const Vec m = split(y, n);
  return log_of_split((m - one) + scale2(lost, -n), n);
}

// log(1 + x) for 0 <= x <= 1, where no exponent is needed: 2 atanh(x / (2 + x)).
SAMBAY_INLINE Vec log1p_unit(Vec x) {
  const Vec s = x / (x + set1(2.0F));
  const Vec z = s * s;
  // Minimax for (2 atanh(s) - 2 s) / s^3 over s^2 <= 1/9: error below 2^-27.
  Vec p = set1(2.32597682e-1F);
  p = fma(p, z, set1(2.16988835e-1F));
  p = fma(p, z, set1(2.85928789e-1F));
  p = fma(p, z, set1(3.99996951e-1F));
  p = fma(p, z, set1(6.66666674e-1F));
  return fma(s * z, p, s + s);
}

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|).
SAMBAY_INLINE Vec softplus(Vec x) {
  return max(set1(0.0F), x) + log1p_unit(exp(-abs(x)));
}

// 1 / (1 + e^-x): for very negative x the quotient goes to zero through e^x, never through
// overflow.
SAMBAY_INLINE Vec sigmoid(Vec x) {
  const Vec one = set1(1.0F);
  const Vec e = exp(-abs(x));
  return select(less_than(x, set1(0.0F)), e, one) / (one + e);
}

SAMBAY_INLINE Vec silu(Vec x) {
  return x * sigmoid(x);
}

// d silu / dx = s (1 + x (1 - s)), s = sigmoid(x).
SAMBAY_INLINE Vec silu_derivative(Vec x, Vec s) {
  return s * fma(x, set1(1.0F) - s, set1(1.0F));
}

// How much of a vector a memory access means.
struct Whole {};
struct First {
  int n;
};
template <class T>
SAMBAY_INLINE Vec load(const T* p, Whole /*all*/) {
  return load(p);
}
template <class T>
SAMBAY_INLINE Vec load(const T* p, First part) {
  return load_n(p, part.n);
}
template <class T>
SAMBAY_INLINE void store(T* p, Vec a, Whole /*all*/) {
  store(p, a);
}
template <class T>
SAMBAY_INLINE void store(T* p, Vec a, First part) {
  store_n(p, a, part.n);
}

// Zero in the lanes that the part does not mean.
SAMBAY_INLINE Vec only(Vec a, Whole /*all*/) {
  return a;
}
SAMBAY_INLINE Vec only(Vec a, First part) {
  alignas(64) float values[lanes];
  store(values, a);
  return load_n(values, part.n);
}

// Calls body(offset, Whole) over [0, count) a vector at a time, and body(offset, First) for the
// tail.
template <class Body>
SAMBAY_INLINE void for_lanes(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    body(i, Whole{});
  }
  if (i < count) {
    body(i, First{static_cast<int>(count - i)});
  }
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
