#include "ops/ref/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace sambay::ops::ref {
namespace {

template <class Real>
double log_sum_exp(const Real* logits, int64_t count) {
  const double top = *std::max_element(logits, logits + count);
  double sum = 0;
  for (int64_t v = 0; v < count; ++v) {
    sum += std::exp(logits[v] - top);
  }
  return top + std::log(sum);
}

}  // namespace

template <class Real>
RowLoss cross_entropy_row(Real* logits, int64_t count, int64_t target, double smoothing,
                          bool gradient) {
  const double normalizer = log_sum_exp(logits, count);
  const double nll = normalizer - logits[target];
  double loss = (1 - smoothing) * nll;
  for (int64_t v = 0; v < count; ++v) {
    const double log_probability = logits[v] - normalizer;
    const double wanted = smoothing / static_cast<double>(count);
    loss -= wanted * log_probability;
    if (gradient) {
      const double hit = v == target ? 1 - smoothing : 0;
      logits[v] = static_cast<Real>(std::exp(log_probability) - wanted - hit);
    }
  }
  return {loss, nll};
}

template <class Real>
double log_softmax_at(const Real* logits, int64_t count, int64_t target) {
  return logits[target] - log_sum_exp(logits, count);
}

template RowLoss cross_entropy_row(float*, int64_t, int64_t, double, bool);
template RowLoss cross_entropy_row(double*, int64_t, int64_t, double, bool);
template double log_softmax_at(const float*, int64_t, int64_t);
template double log_softmax_at(const double*, int64_t, int64_t);

}  // namespace sambay::ops::ref
