// Elements from one floating-point type to another, as files need it.
#pragma once

#include "tensor/tensor.h"

namespace sambay {

// to = from, rounded to nearest even (f64 by way of f32). Same shape, both contiguous, any of f64,
// f32, bf16, f16; in parallel. False if a finite number was too large for the type and became
// infinite.
bool cast(const Tensor& from, const Tensor& to);

}  // namespace sambay
