// Writing fresh keys and values to where a sequence keeps them.
#pragma once

#include <cstdint>
#include <span>

#include "ops/kv_tiles.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// rows [row_begin, row_begin + count) of k and v (T, K, d) go to the memory of `to`, which starts
// at the position of the first of them; layout as KvSpan has it (ops/attention.h).
struct KvTarget {
  int64_t row_begin = 0;
  int64_t count = 0;
  void* k = nullptr;
  void* v = nullptr;
  int64_t k_token_stride = 0, k_head_stride = 0, v_token_stride = 0, v_head_stride = 0;
  // Instead of k and v: tiles, from those that take the first row, which stands at position
  // `first`. A tile is cleared when its first key comes, so that keys must come in order.
  KvTiles tiles = {};
  int64_t first = 0;
  bool eight_bits = false;  // the tiles are of u8
};
// Rounds to 8 bits to the nearest; a vector that is not finite is kept as one of NaN.
void kv_store(const Tensor& k, const Tensor& v, std::span<const KvTarget> targets);

}  // namespace sambay::ops
