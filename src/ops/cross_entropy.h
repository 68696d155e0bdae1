// Losses over a large vocabulary, without the (T, V) logits in memory.
#pragma once

#include <cstdint>
#include <span>

#include "ops/quantized_matrix.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// Targets below zero are ignored: the loss and its gradient skip the row.
inline constexpr int32_t ignored_target = -1;

struct CrossEntropyOptions {
  float label_smoothing = 0.0F;  // target (1 - e) onehot + e / V
  float gradient_scale = 1.0F;   // the loss' own upstream gradient, e.g. 1 / tokens
};

struct CrossEntropySums {
  double loss = 0;      // sum over the rows that count of the smoothed loss, natural log
  double nll = 0;       // the same without smoothing
  int64_t counted = 0;  // rows with a target
};

// logits = hidden (T, D) weight^T (V, D), computed and consumed in blocks of rows; f64, f32 or bf16
// inputs, logits in fp32 (f64). vocabulary <= V masks the padding rows of the weight out of the
// softmax. With d_hidden (T, D; dtype of hidden, overwritten) and d_weight ((V, D) f32 or f64,
// added to) defined, the gradients of gradient_scale * loss are computed in the same pass.
CrossEntropySums linear_cross_entropy(const Tensor& hidden, const Tensor& weight,
                                      std::span<const int32_t> targets, int64_t vocabulary,
                                      const CrossEntropyOptions& options,
                                      const Tensor& d_hidden = {}, const Tensor& d_weight = {});
// The same with a quantized weight, which has no gradients; hidden f32 or bf16.
CrossEntropySums linear_cross_entropy(const Tensor& hidden, const QuantizedMatrix& weight,
                                      std::span<const int32_t> targets, int64_t vocabulary,
                                      const CrossEntropyOptions& options);

// log softmax(logits)[target] of each row of logits (T, V) f32 (f64); 0 for ignored targets.
void target_log_probs(const Tensor& logits, std::span<const int32_t> targets,
                      std::span<double> log_probs);

}  // namespace sambay::ops
