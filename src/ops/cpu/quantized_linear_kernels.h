// What an instruction set contributes to products with quantized weights. Plain data: files
// compiled for special instruction sets include this.
#pragma once

#include <cstdint>

#include "ops/quantized_layout.h"

namespace sambay::ops {

// 32 numbers of a row of x in 8 bits: x = q scale. Neighbours lie side by side, so that a product
// walks one stream of x beside one of weights.
struct QuantizedInput {
  int8_t q[quantized_group];
  float scale;
  int32_t correction;  // what the offset of stored weights adds to a sum of products, negated
};

// Groups of x that are smaller are zero.
constexpr float quantized_smallest_input = 0x1p-100F;

// A row of x (f32 or bf16) becomes `groups` of QuantizedInput; what is beyond `count` is zero.
struct QuantizeInput {
  const void* x;
  bool bf16;
  int32_t offset;  // of the weights
  int64_t count, groups;
  QuantizedInput* out;
};

// c (rows, w.rows) = x w^T + bias for a few rows of x: every block of w is read once.
struct QuantizedFewRows {
  const QuantizedInput* x;  // (rows, groups), groups as w's records have them
  QuantizedRows w;
  const float* bias;  // w.rows values or null
  void* c;
  int64_t c_stride, rows;
  bool c_is_bf16;
};

// As PackPanel of matmul_kernels.h: rows [lane, lane + lanes) of w at columns [k_begin, k_begin +
// k). k_begin is a multiple of quantized_record_columns.
struct QuantizedPanel {
  QuantizedRows w;
  int64_t lane, lanes, k_begin, k, width;
  void* packed;
};

struct QuantizedKernels {
  void (*quantize_input)(const QuantizeInput& input);
  void (*few_rows)(const QuantizedFewRows& product);
  void (*pack_f32)(const QuantizedPanel& panel);   // for GemmKernel gemm_f32
  void (*pack_bf16)(const QuantizedPanel& panel);  // for gemm_bf16
};

}  // namespace sambay::ops
