// Keys and values of a span, wherever they lie, as rows.
#pragma once

#include <cstring>

#include "ops/attention.h"

namespace sambay::testing {

struct KvRows {
  Tensor k, v;  // (span.count, K, d)
};

inline KvRows rows_of(const ops::KvSpan& span, DType dtype, int64_t heads, int64_t head_dim) {
  const ops::KvTile tile(dtype, head_dim, span.tiles.heads);
  const auto size = static_cast<int64_t>(size_of(dtype));
  const KvRows rows = {Tensor::empty({span.count, heads, head_dim}, dtype),
                       Tensor::empty({span.count, heads, head_dim}, dtype)};
  const auto copy = [&](const void* from, int64_t at, const Tensor& to, int64_t element) {
    std::memcpy(static_cast<std::byte*>(to.raw()) + element * size,
                static_cast<const std::byte*>(from) + at * size, static_cast<size_t>(size));
  };
  for (int64_t t = 0; t < span.count; ++t) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t x = 0; x < head_dim; ++x) {
        const int64_t to = (t * heads + head) * head_dim + x;
        if (span.tiles.at == nullptr) {
          copy(span.k, t * span.k_token_stride + head * span.k_head_stride + x, rows.k, to);
          copy(span.v, t * span.v_token_stride + head * span.v_head_stride + x, rows.v, to);
        } else {
          const int64_t slot = span.first % ops::tile_keys + t, key = slot % ops::tile_keys;
          const int64_t in_tile = head % tile.heads;
          const int64_t at =
              head / tile.heads * span.tiles.group_stride + slot / ops::tile_keys * tile.elements();
          copy(span.tiles.at, at + tile.keys_of(in_tile) + tile.key_at(key, x), rows.k, to);
          copy(span.tiles.at, at + tile.values_of(in_tile) + tile.value_at(key, x), rows.v, to);
        }
      }
    }
  }
  return rows;
}

// The numbers that a span of tiles in 8 bits stands for, in f64.
inline KvRows rows_of_8_bits(const ops::KvSpan& span, int64_t heads, int64_t head_dim) {
  const ops::KvTile tile(DType::u8, head_dim, span.tiles.heads);
  const KvRows rows = {Tensor::empty({span.count, heads, head_dim}, DType::f64),
                       Tensor::empty({span.count, heads, head_dim}, DType::f64)};
  for (int64_t t = 0; t < span.count; ++t) {
    const int64_t slot = span.first % ops::tile_keys + t, key = slot % ops::tile_keys;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t in_tile = head % tile.heads;
      const auto* at = static_cast<const uint8_t*>(span.tiles.at) +
                       head / tile.heads * span.tiles.group_stride +
                       slot / ops::tile_keys * tile.elements();
      const auto number = [&](int64_t byte, int64_t scales) {
        float scale;
        std::memcpy(&scale, at + ops::KvTile::scales_of(scales) + key * 4, sizeof scale);
        return static_cast<double>(scale) * (at[byte] - ops::KvTile::offset8);
      };
      for (int64_t x = 0; x < head_dim; ++x) {
        const int64_t to = (t * heads + head) * head_dim + x;
        rows.k.data<double>()[to] = number(tile.keys_of(in_tile) + tile.key_at(key, x), in_tile);
        rows.v.data<double>()[to] =
            number(tile.values_of(in_tile) + tile.value_at(key, x), tile.heads);
      }
    }
  }
  return rows;
}

}  // namespace sambay::testing
