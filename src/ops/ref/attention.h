// Attention in plain loops: the oracle of the kernels and the documentation of the mathematics.
#pragma once

#include "ops/attention.h"

namespace sambay::ops::ref {

// As ops/attention.h. T (double or float) does the arithmetic and is lse's type, Element is what
// the other tensors hold: double with double, float or Bf16 with float.
template <class T, class Element>
void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse);

template <class T, class Element>
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients);

template <class T, class Element>
void differential(const DifferentialInputs& in, const Tensor& out);

template <class T, class Element>
void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients);

}  // namespace sambay::ops::ref
