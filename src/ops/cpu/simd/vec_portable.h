// 4 lanes by the compiler's vector extension: SSE2, NEON, or plain code. Included by vec.h only.
#pragma once

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

constexpr int lanes = 4;

using Float4 = float __attribute__((vector_size(16)));
using Int4 = int32_t __attribute__((vector_size(16)));

struct Vec {
  Float4 v;
};
struct Mask {
  Int4 m;
};

SAMBAY_INLINE Vec set1(float x) {
  return {Float4{x, x, x, x}};
}
SAMBAY_INLINE Vec load(const float* p) {
  Vec a;
  __builtin_memcpy(&a.v, p, sizeof a.v);
  return a;
}
SAMBAY_INLINE Vec load(const Bf16* p) {
  const Int4 bits = {p[0].bits, p[1].bits, p[2].bits, p[3].bits};
  return {(Float4)(bits << 16)};
}
template <class T>
SAMBAY_INLINE Vec load_n(const T* p, int n) {
  T part[lanes] = {};
  for (int i = 0; i < n; ++i) {
    part[i] = p[i];
  }
  return load(part);
}
SAMBAY_INLINE void store(float* p, Vec a) {
  __builtin_memcpy(p, &a.v, sizeof a.v);
}
SAMBAY_INLINE void store(Bf16* p, Vec a) {
  const Int4 bits = (Int4)a.v;
  const Int4 nearest = bits + 0x7fff + ((bits >> 16) & 1);
  const Int4 nan = a.v != a.v;
  const Int4 rounded = (nan & (bits | 0x400000)) | (~nan & nearest);
  for (int i = 0; i < lanes; ++i) {
    p[i].bits = static_cast<uint16_t>(static_cast<uint32_t>(rounded[i]) >> 16);
  }
}
template <class T>
SAMBAY_INLINE void store_n(T* p, Vec a, int n) {
  T part[lanes];
  store(part, a);
  for (int i = 0; i < n; ++i) {
    p[i] = part[i];
  }
}

SAMBAY_INLINE Vec operator+(Vec a, Vec b) {
  return {a.v + b.v};
}
SAMBAY_INLINE Vec operator-(Vec a, Vec b) {
  return {a.v - b.v};
}
SAMBAY_INLINE Vec operator*(Vec a, Vec b) {
  return {a.v * b.v};
}
SAMBAY_INLINE Vec operator/(Vec a, Vec b) {
  return {a.v / b.v};
}
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
SAMBAY_INLINE Vec fma(Vec a, Vec b, Vec c) {
  Vec out;
  for (int i = 0; i < lanes; ++i) {
    out.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  }
  return out;
}
#else
// Without the instruction a true fma is a slow library call.
SAMBAY_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return {a.v * b.v + c.v};
}
#endif
SAMBAY_INLINE Vec fnma(Vec a, Vec b, Vec c) {
  return fma(Vec{-a.v}, b, c);
}
SAMBAY_INLINE bool any(Mask m) {
  return (m.m[0] | m.m[1] | m.m[2] | m.m[3]) != 0;
}
SAMBAY_INLINE Vec select(Mask m, Vec yes, Vec no) {
  return {(Float4)((m.m & (Int4)yes.v) | (~m.m & (Int4)no.v))};
}
SAMBAY_INLINE Mask less_than(Vec a, Vec b) {
  return {a.v < b.v};
}
SAMBAY_INLINE Vec min(Vec a, Vec b) {
  return select(less_than(a, b), a, b);
}
SAMBAY_INLINE Vec max(Vec a, Vec b) {
  return select(less_than(b, a), a, b);
}
SAMBAY_INLINE Vec sqrt(Vec a) {
  Vec out;
  for (int i = 0; i < lanes; ++i) {
    out.v[i] = __builtin_sqrtf(a.v[i]);
  }
  return out;
}
// Adding 1.5 2^23 leaves no digit behind the point: |a| < 2^22.
SAMBAY_INLINE Vec round(Vec a) {
  const Vec magic = set1(12582912.0F);
  return (a + magic) - magic;
}
SAMBAY_INLINE Vec abs(Vec a) {
  return {(Float4)((Int4)a.v & 0x7fffffff)};
}
// In two steps, so that results may be denormal or infinite: |n| <= 252.
SAMBAY_INLINE Vec scale2(Vec a, Vec n) {
  // NaN may stand in n beside NaN in a; which integer it becomes does not matter.
  const Int4 whole = (Int4)(n.v + 12582912.0F) - 0x4b400000;
  const Int4 half = whole >> 1;
  return {a.v * (Float4)((half + 127) << 23) * (Float4)((whole - half + 127) << 23)};
}
SAMBAY_INLINE Vec scale2_normal(Vec a, Vec n) {
  // The shift drops the magic number's own bits.
  return {(Float4)((Int4)a.v + ((Int4)(n.v + 12582912.0F) << 23))};
}
SAMBAY_INLINE Vec split(Vec x, Vec& exponent) {
  constexpr int sqrt_half = 0x3f3504f3;
  const Int4 n = ((Int4)x.v - sqrt_half) >> 23;
  exponent.v = __builtin_convertvector(n, Float4);
  return {(Float4)((Int4)x.v - (n << 23))};
}
SAMBAY_INLINE float sum(Vec a) {
  return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
}
SAMBAY_INLINE void store_sums(float* out, Vec a, Vec b, Vec c, Vec d) {
  out[0] = sum(a);
  out[1] = sum(b);
  out[2] = sum(c);
  out[3] = sum(d);
}
SAMBAY_INLINE float max_lane(Vec a) {
  const float p = a.v[0] > a.v[1] ? a.v[0] : a.v[1];
  const float q = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
  return p > q ? p : q;
}

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
