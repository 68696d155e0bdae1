// Cross-entropy of one row of logits, as its formula has it.
#pragma once

#include <cstdint>

namespace sambay::ops::ref {

struct RowLoss {
  double loss, nll;
};

// The loss against (1 - smoothing) onehot(target) + smoothing / count; its gradient by the logits
// replaces them where `gradient` is wanted.
template <class Real>
RowLoss cross_entropy_row(Real* logits, int64_t count, int64_t target, double smoothing,
                          bool gradient);

template <class Real>
double log_softmax_at(const Real* logits, int64_t count, int64_t target);

}  // namespace sambay::ops::ref
