// base/rng.cc, many blocks at a time: the same operations in the same order, and so the same bits,
// in loops without branches that compilers vectorize.
#include "ops/cpu/random_kernels.h"

#include <cstdint>

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr int lanes = 16;  // blocks that fit the registers
constexpr uint64_t low_half = 0xffffffffU;

// 2 (word >> 11) / 2^53 - 1; an integer becomes a double by way of a double's bits.
inline double symmetric(uint64_t word) {
  const uint64_t high = (word >> 43) | 0x4530000000000000U;
  const uint64_t low = ((word >> 11) & low_half) | 0x4330000000000000U;
  const double integer =
      (__builtin_bit_cast(double, high) - (0x1p84 + 0x1p52)) + __builtin_bit_cast(double, low);
  return 2 * (integer * 0x1p-53) - 1;
}

// u and v (lanes): what `symmetric` makes of the two words of the blocks from `first` on.
inline void philox(const RandomBlocks& blocks, uint64_t first, double* u, double* v) {
  uint64_t c0[lanes], c1[lanes], c2[lanes], c3[lanes];
  for (int i = 0; i < lanes; ++i) {
    const uint64_t index = first + static_cast<uint64_t>(i);
    c0[i] = index & low_half;
    c1[i] = index >> 32;
    c2[i] = blocks.stream & low_half;
    c3[i] = blocks.stream >> 32;
  }
  uint64_t key0 = blocks.seed & low_half, key1 = blocks.seed >> 32;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < lanes; ++i) {
      const uint64_t a = 0xd2511f53U * (c0[i] & low_half), b = 0xcd9e8d57U * (c2[i] & low_half);
      c0[i] = (b >> 32) ^ c1[i] ^ key0;
      c1[i] = b & low_half;
      c2[i] = (a >> 32) ^ c3[i] ^ key1;
      c3[i] = a & low_half;
    }
    key0 = (key0 + 0x9e3779b9U) & low_half;
    key1 = (key1 + 0xbb67ae85U) & low_half;
  }
  for (int i = 0; i < lanes; ++i) {
    u[i] = symmetric(c0[i] | c1[i] << 32);
    v[i] = symmetric(c2[i] | c3[i] << 32);
  }
}

// log_reproducible of base/rng.cc for normal x.
inline double log_reproducible(double x) {
  constexpr uint64_t mantissa_bits = 0x000fffffffffffffU;
  constexpr double sqrt2 = 1.41421356237309504880, ln2 = 0.693147180559945309417;
  const auto bits = __builtin_bit_cast(uint64_t, x);
  const uint64_t mantissa = bits & mantissa_bits;
  // 1 for mantissas below sqrt(1/2), which are doubled.
  const uint64_t below =
      (mantissa - (__builtin_bit_cast(uint64_t, sqrt2 / 2) & mantissa_bits)) >> 63;
  const auto m = __builtin_bit_cast(double, mantissa | (0x3fe + below) << 52);
  const double exponent =
      __builtin_bit_cast(double, ((bits >> 52) - below) | 0x4330000000000000U) - (0x1p52 + 0x3fe);
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 0;
#pragma GCC unroll 12
  for (int k = 23; k >= 1; k -= 2) {
    sum = sum * s2 + 1.0 / k;
  }
  return exponent * ln2 + 2 * s * sum;
}

void uniform(const RandomBlocks& blocks, double* out) {
  for (int begin = 0; begin < random_blocks; begin += lanes) {
    double u[lanes], v[lanes];
    philox(blocks, blocks.first + static_cast<uint64_t>(begin), u, v);
    for (int i = 0; i < lanes; ++i) {
      out[2 * (begin + i)] = u[i];
      out[2 * (begin + i) + 1] = v[i];
    }
  }
}

int normal(const RandomBlocks& blocks, double* out) {
  double u[random_blocks], v[random_blocks], r[random_blocks];
  for (int begin = 0; begin < random_blocks; begin += lanes) {
    philox(blocks, blocks.first + static_cast<uint64_t>(begin), u + begin, v + begin);
  }
  for (int i = 0; i < random_blocks; ++i) {
    r[i] = u[i] * u[i] + v[i] * v[i];
  }
  int hits = 0;
  for (int i = 0; i < random_blocks; ++i) {
    const double r_i = r[i];
    u[hits] = u[i];
    r[hits] = r_i;
    hits += static_cast<int>(r_i > 0) & static_cast<int>(r_i < 1);
  }
  for (int i = 0; i < hits; ++i) {
    out[i] = u[i] * __builtin_sqrt(-2 * log_reproducible(r[i]) / r[i]);
  }
  return hits;
}

}  // namespace

extern const RandomKernels random_kernels;
const RandomKernels random_kernels = {uniform, normal};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
