// Where the weights of a quantized matrix stand (docs/quantization.md). Plain data: included by
// files of every instruction set.
#pragma once

#include <cstdint>

namespace sambay::ops {

// Rows that lie interleaved: the 32-bit lanes of the widest register.
constexpr int64_t quantized_block_rows = 16;
// Neighbours along a row that share a scale.
constexpr int64_t quantized_group = 32;
// A record holds two groups of each row of a block: whole cache lines, read one after the other.
constexpr int64_t quantized_record_columns = 2 * quantized_group;
// The scales of a record: bf16, (row, group).
constexpr int64_t quantized_scale_bytes = 64;

constexpr int64_t quantized_group_bytes8 = quantized_block_rows * quantized_group;
constexpr int64_t quantized_group_bytes4 = quantized_group_bytes8 / 2;
constexpr int64_t quantized_record_bytes8 = quantized_scale_bytes + 2 * quantized_group_bytes8;
constexpr int64_t quantized_record_bytes4 = quantized_scale_bytes + 2 * quantized_group_bytes4;

// What is added to a weight so that it is stored without a sign.
constexpr int32_t quantized_offset8 = 128;
constexpr int32_t quantized_offset4 = 8;

// Consecutive rows of a quantized matrix.
struct QuantizedRows {
  const uint8_t* data;  // the block that holds the first of them
  int64_t first;        // its place in the block
  int64_t rows, columns;
  int bits;
};

}  // namespace sambay::ops
