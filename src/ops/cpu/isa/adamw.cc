#include "ops/cpu/adamw_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

template <class Compute>
void adamw(const AdamwStretch& s, const AdamwFactors& f) {
  const Vec beta1 = set1(f.beta1), one_minus_beta1 = set1(f.one_minus_beta1);
  const Vec beta2 = set1(f.beta2), one_minus_beta2 = set1(f.one_minus_beta2);
  const Vec epsilon = set1(f.epsilon), decay = set1(f.decay), scale = set1(f.gradient_scale);
  const Vec step_size = set1(f.step_size), v_correction = set1(f.v_correction);
  auto* compute = static_cast<Compute*>(s.compute);
  for_lanes(s.count, [&](int64_t i, auto part) {
    const Vec g = scale * load(s.gradient + i, part);
    const Vec m = fma(beta1, load(s.m + i, part), one_minus_beta1 * g);
    const Vec v = fma(beta2, load(s.v + i, part), one_minus_beta2 * (g * g));
    const Vec direction = m / (sqrt(v * v_correction) + epsilon);
    const Vec p = load(s.master + i, part);
    const Vec updated = p - fma(decay, p, step_size * direction);
    store(s.m + i, m, part);
    store(s.v + i, v, part);
    store(s.master + i, updated, part);
    store(s.gradient + i, set1(0.0F), part);
    if (compute != nullptr) {
      store(compute + i, updated, part);
    }
  });
}

double sum_of_squares(const float* x, int64_t count) {
  // Pieces so short that their fp32 sums cost no digits worth having.
  constexpr int64_t piece = 1024;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += piece) {
    const int64_t size = count - begin < piece ? count - begin : piece;
    Vec even = set1(0.0F), odd = set1(0.0F);
    int64_t i = begin;
    for (; i + 2 * lanes <= begin + size; i += 2 * lanes) {
      const Vec a = load(x + i), b = load(x + i + lanes);
      even = fma(a, a, even);
      odd = fma(b, b, odd);
    }
    for_lanes(begin + size - i, [&](int64_t offset, auto part) {
      const Vec a = load(x + i + offset, part);
      even = fma(a, a, even);
    });
    total += static_cast<double>(sum(even + odd));
  }
  return total;
}

}  // namespace

extern const AdamwKernels adamw_kernels;
const AdamwKernels adamw_kernels = {adamw<float>, adamw<Bf16>, sum_of_squares};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
