// Attention on the CPU: how the work is cut into tasks. Operands are checked by ops/attention.cc,
// f32 or bf16.
#pragma once

#include "ops/attention.h"

namespace sambay::ops::cpu {

void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse);

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients);

void differential(const DifferentialInputs& in, const Tensor& out);
void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients);

}  // namespace sambay::ops::cpu
