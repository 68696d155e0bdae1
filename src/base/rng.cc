#include "base/rng.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sambay {
namespace {

std::array<uint64_t, 2> block_at(const RngState& state) {
  const uint64_t index = state.position / 2;
  const auto words =
      philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
              static_cast<uint32_t>(state.stream), static_cast<uint32_t>(state.stream >> 32)},
             {static_cast<uint32_t>(state.seed), static_cast<uint32_t>(state.seed >> 32)});
  return {words[0] | uint64_t{words[1]} << 32, words[2] | uint64_t{words[3]} << 32};
}

// FNV-1a, then mixed so that names that differ in one letter lie far apart.
uint64_t hash_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93U;
  return hash ^ (hash >> 32);
}

// libm may round differently elsewhere; this has additions, products and quotients only.
// ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)), x = m 2^e with m in [sqrt(1/2), sqrt(2)).
double log_reproducible(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < std::numbers::sqrt2 / 2) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) {
    sum = sum * s2 + 1.0 / k;
  }
  return exponent * std::numbers::ln2 + 2 * s * sum;
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t multiplier_0 = 0xd2511f53, multiplier_1 = 0xcd9e8d57;
  constexpr uint32_t weyl_0 = 0x9e3779b9, weyl_1 = 0xbb67ae85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = multiplier_0 * counter[0], b = multiplier_1 * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += weyl_0;
    key[1] += weyl_1;
  }
  return counter;
}

Rng::Rng(uint64_t seed, std::string_view name) : Rng(seed, hash_of(name)) {}

Rng::Rng(const RngState& state) : state_(state), block_(block_at(state)) {}

uint64_t Rng::next_u64() {
  if (state_.position % 2 == 0) {
    block_ = block_at(state_);
  }
  return block_[state_.position++ % 2];
}

double Rng::uniform() {
  return static_cast<double>(next_u64() >> 11) * 0x1p-53;
}

float Rng::uniform_float() {
  return static_cast<float>(next_u64() >> 40) * 0x1p-24F;
}

// Lemire, "Fast random integer generation in an interval", 2019.
uint64_t Rng::below(uint64_t n) {
  check(n > 0, "a number is drawn below a positive bound");
  __extension__ using Wide = unsigned __int128;
  Wide product = Wide{next_u64()} * n;
  if (static_cast<uint64_t>(product) < n) {
    const uint64_t unfair = (0 - n) % n;
    while (static_cast<uint64_t>(product) < unfair) {
      product = Wide{next_u64()} * n;
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

// Marsaglia's polar method. The second value of each pair is dropped, so that the state stays
// (seed, stream, position).
double Rng::normal() {
  for (;;) {
    const double u = 2 * uniform() - 1, v = 2 * uniform() - 1;
    const double r = u * u + v * v;
    if (r > 0 && r < 1) {
      return u * std::sqrt(-2 * log_reproducible(r) / r);
    }
  }
}

}  // namespace sambay
