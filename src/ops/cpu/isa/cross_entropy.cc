#include "ops/cpu/cross_entropy_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Sums are taken in floats over so many logits, then in doubles: the vocabulary's size costs no
// digits.
constexpr int64_t piece = 1024;

LogitSums sums(const float* logits, int64_t count) {
  Vec top = set1(logits[0]);
  for (int64_t i = 0; i + lanes <= count; i += lanes) {
    top = max(top, load(logits + i));
  }
  // The last vector overlaps the one before it; of few logits each is compared.
  if (count >= lanes) {
    top = max(top, load(logits + count - lanes));
  }
  LogitSums out = {max_lane(top), 0, 0};
  for (int64_t i = 0; count < lanes && i < count; ++i) {
    out.max = logits[i] > out.max ? logits[i] : out.max;
  }
  const Vec shift = set1(out.max);
  for (int64_t begin = 0; begin < count; begin += piece) {
    Vec sum_exp = set1(0.0F), total = sum_exp;
    for_lanes(count - begin < piece ? count - begin : piece, [&](int64_t i, auto part) {
      const Vec x = load(logits + begin + i, part);
      total += x;
      sum_exp += only(exp(x - shift), part);
    });
    out.sum += static_cast<double>(sum(total));
    out.sum_exp += static_cast<double>(sum(sum_exp));
  }
  return out;
}

template <class T>
void gradient_row(const float* logits, int64_t count, const LogitGradient& g, T* out) {
  const Vec shift = set1(g.max), scale = set1(g.inverse_sum_exp), smoothed = set1(g.smoothed);
  const float at_target = logits[g.target];
  for_lanes(count, [&](int64_t i, auto part) {
    store(out + i, exp(load(logits + i, part) - shift) * scale - smoothed, part);
  });
  store(out + g.target, exp(set1(at_target) - shift) * scale - smoothed - set1(g.hit), First{1});
}

void gradient(const float* logits, int64_t count, const LogitGradient& g, float* out) {
  gradient_row(logits, count, g, out);
}

void gradient_bf16(const float* logits, int64_t count, const LogitGradient& g, Bf16* out) {
  gradient_row(logits, count, g, out);
}

}  // namespace

extern const CrossEntropyKernels cross_entropy_kernels;
const CrossEntropyKernels cross_entropy_kernels = {sums, gradient, gradient_bf16};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
