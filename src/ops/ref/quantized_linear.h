// Quantized weights as they are written down in docs/quantization.md, one at a time.
#pragma once

#include <cstdint>
#include <span>

#include "ops/quantized_layout.h"

namespace sambay::ops::ref {

// The stored integer without its offset, and its scale; row counts from the view's first.
int quantized_integer(const QuantizedRows& w, int64_t row, int64_t column);
float quantized_scale(const QuantizedRows& w, int64_t row, int64_t column);

// Quantizes rows (w.rows, w.columns), `stride` apart, into blocks of zeroed bytes that begin with
// w.first = 0. Adds squares of what changed to `difference`, of weights to `size`.
void quantize_rows(const float* weights, int64_t stride, const QuantizedRows& w, uint8_t* blocks,
                   double& difference, double& size);

// A group of x in 8 bits.
struct InputGroup {
  int8_t q[quantized_group];
  float scale;
};
// Fewer than 32 numbers are filled up with zeros. A group that is not finite has the scale NaN.
InputGroup quantize_input(std::span<const float> group);

// out (rows, w.rows) = x (rows, w.columns) w^T + bias with x in 8 bits.
void quantized_linear(const float* x, int64_t rows, const QuantizedRows& w, const float* bias,
                      float* out);

}  // namespace sambay::ops::ref
