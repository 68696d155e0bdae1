// Rows of a matrix as the kernels see them. Plain data: included by files of every instruction set.
#pragma once

#include <cstdint>

namespace sambay::ops {

// float or Bf16 elements; `stride` elements from row to row.
struct Rows {
  void* data = nullptr;
  int64_t stride = 0;
  bool bf16 = false;
};
struct ConstRows {
  const void* data = nullptr;
  int64_t stride = 0;
  bool bf16 = false;
};

}  // namespace sambay::ops
