// Tensors of random numbers that are a function of (seed, stream, element) alone: the same bits at
// every instruction set and number of threads.
#pragma once

#include "base/rng.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// out (any shape, contiguous, f64, f32 or bf16) = deviation x Rng::normal(), rounded to out's dtype
// (by way of f32). Each 2^16 elements draw from a part of `stream` of their own, 2^32 words apart.
void fill_normal(const Tensor& out, double deviation, const Rng& stream);

// The same with limit x (2 Rng::uniform() - 1).
void fill_uniform(const Tensor& out, double limit, const Rng& stream);

}  // namespace sambay::ops
