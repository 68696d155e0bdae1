#include "ops/quantized_matrix.h"

#include <cmath>
#include <vector>

#include "base/threads.h"
#include "ops/cpu/quantize_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/quantized_linear.h"

namespace sambay::ops {

SAMBAY_KERNELS(QuantizeKernels, quantize_kernels);

namespace {

constexpr int64_t B = quantized_block_rows, C = quantized_record_columns;

// Squares of larger weights might overflow.
constexpr float too_large = 0x1p60F;

void expect_moderate(const float* weights, int64_t count, int64_t columns, int64_t first_row) {
  for (int64_t i = 0; i < count; ++i) {
    if (!(std::abs(weights[i]) < too_large)) {
      fail("quantize", "row {}, column {}: expected a finite number below 2^60, got {}",
           first_row + i / columns, i % columns, weights[i]);
    }
  }
}

// Rows [begin, end) of one block, given in f32.
QuantizationError quantize_block(const float* weights, int64_t rows, const QuantizedMatrix& out,
                                 int64_t block) {
  QuantizationError error;
  const int64_t bytes = out.data.dim(1) * out.data.dim(2);
  uint8_t* to = out.data.data<uint8_t>() + block * bytes;
  if (isa() == Isa::reference) {
    std::fill_n(to, bytes, uint8_t{0});
    ref::quantize_rows(weights, out.columns, {nullptr, 0, rows, out.columns, out.bits}, to,
                       error.difference, error.size);
  } else {
    quantize_kernels().quantize_block(
        {weights, out.columns, rows, out.columns, out.bits, to, &error.difference, &error.size});
  }
  return error;
}

}  // namespace

Shape QuantizedMatrix::stored_shape(int64_t rows, int64_t columns, int bits) {
  check(bits == 8 || bits == 4, "matrices are quantized to 8 or 4 bits");
  return {(rows + B - 1) / B, (columns + C - 1) / C,
          bits == 8 ? quantized_record_bytes8 : quantized_record_bytes4};
}

QuantizedMatrix QuantizedMatrix::empty(int64_t rows, int64_t columns, int bits, Arena& arena) {
  return {Tensor::empty(stored_shape(rows, columns, bits), DType::u8, arena), bits, 0, rows,
          columns};
}

QuantizedMatrix QuantizedMatrix::slice(int64_t begin, int64_t end) const {
  check(0 <= begin && begin < end && end <= rows, "a slice lies in its matrix");
  const int64_t first = first_row + begin, last = first_row + end - 1;
  return {data.slice(0, first / B, last / B + 1), bits, first % B, end - begin, columns};
}

QuantizedRows QuantizedMatrix::view() const {
  return {data.data<uint8_t>(), first_row, rows, columns, bits};
}

QuantizationError& QuantizationError::operator+=(const QuantizationError& other) {
  difference += other.difference;
  size += other.size;
  return *this;
}

double QuantizationError::relative() const {
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

QuantizationError quantize(const Tensor& weights, const QuantizedMatrix& out) {
  constexpr std::string_view op = "quantize";
  expect(op, "weights", weights, out.shape(), {DType::f32, DType::bf16});
  check(out.first_row == 0, "whole matrices are quantized");
  const int64_t blocks = out.data.dim(0);
  std::vector<QuantizationError> errors(static_cast<size_t>(blocks));
  parallel_ranges(blocks, 1, [&](int64_t begin, int64_t end) {
    const Tensor rows = Tensor::empty({B, out.columns}, DType::f32);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t row = block * B, count = std::min(B, out.rows - row);
      convert(weights.slice(0, row, row + count), rows.slice(0, 0, count));
      expect_moderate(rows.data<float>(), count * out.columns, out.columns, row);
      errors[static_cast<size_t>(block)] = quantize_block(rows.data<float>(), count, out, block);
    }
  });
  QuantizationError total;
  for (const QuantizationError& error : errors) {
    total += error;
  }
  return total;
}

void dequantize(const QuantizedMatrix& matrix, const Tensor& out) {
  expect("dequantize", "out", out, matrix.shape(), {DType::f32, DType::bf16});
  if (any_meta(matrix.data, out)) {
    return;
  }
  const QuantizedRows w = matrix.view();
  parallel_ranges(matrix.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t column = 0; column < matrix.columns; ++column) {
        const float weight = static_cast<float>(ref::quantized_integer(w, row, column)) *
                             ref::quantized_scale(w, row, column);
        const int64_t at = row * out.stride(0) + column;
        if (out.dtype() == DType::bf16) {
          out.data<Bf16>()[at] = to_bf16(weight);
        } else {
          out.data<float>()[at] = weight;
        }
      }
    }
  });
}

}  // namespace sambay::ops
