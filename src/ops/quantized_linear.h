// Matrix products with quantized weights.
#pragma once

#include "ops/quantized_matrix.h"

namespace sambay::ops {

// Up to so many rows of x are multiplied as integers.
inline constexpr int64_t quantized_few_rows = 32;

// out (T, O) = x (T, I) weight^T (O, I) + bias (O). x is f32 or bf16; out f32 or bf16; bias f32 or
// undefined.
//
// T <= quantized_few_rows: groups of 32 of a row of x become 8-bit integers, q = round(x / s) with
// s = max|x| / 127, and are multiplied as such: exact sums within a group, added up in fp32 in the
// order of the groups. The bits of a row of out are the same at every instruction set and whatever
// other rows there are. Each weight is read once, at the speed of memory.
//
// Above: weights are rounded to x's dtype while the product packs them, and multiplied as linear()
// does.
//
// Counts the stored bytes as Cost::weight_bytes. Throws Error "[quantized_linear] ...".
void quantized_linear(const Tensor& x, const QuantizedMatrix& weight, const Tensor& bias,
                      const Tensor& out);

}  // namespace sambay::ops
