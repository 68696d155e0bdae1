// How a cache that grows lays out keys and values: in tiles of 64 tokens, each as the products over
// it read it, so that decoding reads memory as one ascending stream and adds nothing across lanes.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace sambay::ops {

inline constexpr int64_t tile_keys = 64;

// The tile of the key heads that a kernel takes together: one, or a pair that shares its values.
// It consists of units: one f32 or f64, two bf16 or four u8 that lie next to each other along the
// index that a product sums over. First each head's keys, (ceil(head_dim / unit), tile_keys) units;
// then each head's values in blocks of 64 columns and a narrower last one, (tile_keys / unit,
// columns) units each. Positions that hold no key yet and elements beyond head_dim are zero. The
// key at position p is key p % tile_keys of its tile.
//
// u8: a key is its scale times whole numbers from -127 to 127, kept as the number + 128, and so are
// the tile's values at one position, all heads together. Scales, f32 (heads + 1, tile_keys), come
// first: each head's keys, then the values.
struct KvTile {
  static constexpr int64_t block_columns = 64;
  static constexpr int32_t offset8 = 128;

  int64_t heads;
  int64_t unit;          // elements
  int64_t scale_bytes;   // of u8, which are its elements; else 0
  int64_t key_elements;  // of a head
  int64_t value_width;   // head_dim in whole vectors of 16 units

  KvTile(DType dtype, int64_t head_dim, int64_t tile_heads)
      : heads(tile_heads),
        unit(dtype == DType::u8     ? 4
             : dtype == DType::bf16 ? 2
                                    : 1),
        scale_bytes(dtype == DType::u8 ? (tile_heads + 1) * tile_keys * 4 : 0),
        key_elements((head_dim + unit - 1) / unit * unit * tile_keys),
        value_width((head_dim + 15) / 16 * 16) {}

  int64_t value_elements() const { return tile_keys * value_width; }
  // Of a key and its value in all heads of the tile, on average.
  double elements_per_key() const { return static_cast<double>(elements()) / tile_keys; }
  int64_t elements() const { return scale_bytes + heads * (key_elements + value_elements()); }
  // Where the scales of a head's keys begin, and those of the values: `head` is `heads`.
  static int64_t scales_of(int64_t head) { return head * tile_keys * 4; }
  // Where the keys of a head begin, and where element x of one lies behind that; so for values.
  int64_t keys_of(int64_t head) const { return scale_bytes + head * key_elements; }
  int64_t key_at(int64_t key, int64_t x) const {
    return (x / unit * tile_keys + key) * unit + x % unit;
  }
  int64_t values_of(int64_t head) const {
    return scale_bytes + heads * key_elements + head * value_elements();
  }
  int64_t value_at(int64_t key, int64_t x) const {
    const int64_t block = x / block_columns * block_columns;
    return block * tile_keys + (key / unit * columns(block) + x - block) * unit + key % unit;
  }
  // Of the block that starts at column `block`.
  int64_t columns(int64_t block) const {
    return value_width - block < block_columns ? value_width - block : block_columns;
  }
};

// Tiles of all key heads in memory: those of a group of KvTile::heads heads one after the other,
// group_stride elements behind those of the group before.
struct KvTiles {
  void* at = nullptr;  // null: none
  int64_t heads = 1;   // of a tile
  int64_t group_stride = 0;
};

}  // namespace sambay::ops
