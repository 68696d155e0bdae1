#include "ops/kv_store.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/dispatch.h"

namespace sambay::ops {
namespace {

void store_rows(const Tensor& from, const KvTarget& target, int64_t begin, int64_t end, void* to,
                int64_t token_stride, int64_t head_stride) {
  const auto size = static_cast<int64_t>(size_of(from.dtype()));
  const auto head_bytes = static_cast<size_t>(from.dim(2) * size);
  const bool together = from.stride(1) == from.dim(2) && head_stride == from.dim(2);
  const int64_t copies = together ? 1 : from.dim(1);
  const size_t bytes = together ? head_bytes * static_cast<size_t>(from.dim(1)) : head_bytes;
  for (int64_t i = begin; i < end; ++i) {
    const auto* source =
        static_cast<const std::byte*>(from.raw()) + (target.row_begin + i) * from.stride(0) * size;
    auto* destination = static_cast<std::byte*>(to) + i * token_stride * size;
    for (int64_t h = 0; h < copies; ++h) {
      std::memcpy(destination + h * head_stride * size, source + h * from.stride(1) * size, bytes);
    }
  }
}

// Head `head` of rows, of which the first becomes key `key` of the tile that is at `keys` and
// `values` for that head.
template <class Element>
void fill_tile(const Tensor& k, const Tensor& v, int64_t head, int64_t row, int64_t rows,
               const KvTile& layout, int64_t key, Element* keys, Element* values) {
  if (key == 0) {
    std::fill_n(keys, layout.key_elements, Element{});
    std::fill_n(values, layout.value_elements(), Element{});
  }
  const auto* k_rows = static_cast<const Element*>(k.raw()) + head * k.stride(1);
  const auto* v_rows = static_cast<const Element*>(v.raw()) + head * v.stride(1);
  for (int64_t i = 0; i < rows; ++i) {
    const Element* k_row = k_rows + (row + i) * k.stride(0);
    const Element* v_row = v_rows + (row + i) * v.stride(0);
    for (int64_t x = 0; x < k.dim(2); ++x) {
      keys[layout.key_at(key + i, x)] = k_row[x];
      values[layout.value_at(key + i, x)] = v_row[x];
    }
  }
}

// Calls body(tile, key, row, rows) for tiles [begin, end) of those that the target touches: `rows`
// rows from `row` on become keys `key` and after.
template <class Body>
void for_each_tile(const KvTarget& target, int64_t begin, int64_t end, Body body) {
  const int64_t offset = target.first % tile_keys;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t from = std::max<int64_t>(0, t * tile_keys - offset);
    const int64_t to = std::min(target.count, (t + 1) * tile_keys - offset);
    body(t, (offset + from) % tile_keys, target.row_begin + from, to - from);
  }
}

template <class Element>
void store_tiles(const Tensor& k, const Tensor& v, const KvTarget& target, int64_t begin,
                 int64_t end) {
  const KvTile layout(k.dtype(), k.dim(2), target.tiles.heads);
  for_each_tile(target, begin, end, [&](int64_t t, int64_t key, int64_t row, int64_t rows) {
    for (int64_t head = 0; head < k.dim(1); ++head) {
      auto* tile = static_cast<Element*>(target.tiles.at) +
                   head / layout.heads * target.tiles.group_stride + t * layout.elements();
      fill_tile(k, v, head, row, rows, layout, key, tile + layout.keys_of(head % layout.heads),
                tile + layout.values_of(head % layout.heads));
    }
  });
}

float widened(float x) {
  return x;
}
float widened(Bf16 x) {
  return to_float(x);
}

// One scale for `heads` rows of `count` numbers, `stride` apart: number x of row h goes to
// put(h, x, byte).
template <class Element, class Put>
float round_to_8_bits(const Element* from, int64_t heads, int64_t stride, int64_t count, Put put) {
  float largest = 0, poison = 0;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t x = 0; x < count; ++x) {
      const float number = widened(from[h * stride + x]);
      largest = std::max(largest, std::abs(number));
      poison += number * 0.0F;
    }
  }
  const bool zeros = poison != 0.0F || largest < 0x1p-100F;  // NaN is not 0
  const float inverse = zeros ? 0.0F : 127.0F / largest;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t x = 0; x < count; ++x) {
      const float number = zeros ? 0.0F : widened(from[h * stride + x]) * inverse;
      put(h, x, static_cast<uint8_t>(static_cast<int>(std::nearbyint(number)) + KvTile::offset8));
    }
  }
  return zeros ? poison : largest / 127.0F;
}

template <class Element>
void store_tiles_8(const Tensor& k, const Tensor& v, const KvTarget& target, int64_t begin,
                   int64_t end) {
  const int64_t d = k.dim(2), heads = target.tiles.heads;
  const KvTile layout(DType::u8, d, heads);
  for_each_tile(target, begin, end, [&](int64_t t, int64_t key, int64_t row, int64_t rows) {
    for (int64_t head = 0; head < k.dim(1); head += heads) {
      auto* tile = static_cast<uint8_t*>(target.tiles.at) +
                   head / heads * target.tiles.group_stride + t * layout.elements();
      auto* scales = reinterpret_cast<float*>(tile);
      if (key == 0) {
        std::fill_n(scales, (heads + 1) * tile_keys, 0.0F);
        std::fill(tile + layout.scale_bytes, tile + layout.elements(), KvTile::offset8);
      }
      for (int64_t i = 0; i < rows; ++i) {
        const auto* k_row =
            static_cast<const Element*>(k.raw()) + (row + i) * k.stride(0) + head * k.stride(1);
        const auto* v_row =
            static_cast<const Element*>(v.raw()) + (row + i) * v.stride(0) + head * v.stride(1);
        for (int64_t h = 0; h < heads; ++h) {
          scales[h * tile_keys + key + i] = round_to_8_bits(
              k_row + h * k.stride(1), 1, 0, d, [&](int64_t, int64_t x, uint8_t byte) {
                tile[layout.keys_of(h) + layout.key_at(key + i, x)] = byte;
              });
        }
        scales[heads * tile_keys + key + i] =
            round_to_8_bits(v_row, heads, v.stride(1), d, [&](int64_t h, int64_t x, uint8_t byte) {
              tile[layout.values_of(h) + layout.value_at(key + i, x)] = byte;
            });
      }
    }
  });
}

int64_t tiles_of(const KvTarget& target) {
  return (target.first % tile_keys + target.count + tile_keys - 1) / tile_keys;
}

// Part `part` of `parts` of a target: each tile is in one of them.
void store_part(const Tensor& k, const Tensor& v, const KvTarget& target, int64_t part,
                int64_t parts) {
  const int64_t items = target.tiles.at != nullptr ? tiles_of(target) : target.count;
  const int64_t begin = items * part / parts, end = items * (part + 1) / parts;
  if (target.tiles.at == nullptr) {
    store_rows(k, target, begin, end, target.k, target.k_token_stride, target.k_head_stride);
    store_rows(v, target, begin, end, target.v, target.v_token_stride, target.v_head_stride);
  } else if (target.eight_bits && k.dtype() == DType::bf16) {
    store_tiles_8<Bf16>(k, v, target, begin, end);
  } else if (target.eight_bits) {
    check(k.dtype() == DType::f32, "keys kept in 8 bits are f32 or bf16");
    store_tiles_8<float>(k, v, target, begin, end);
  } else if (size_of(k.dtype()) == 2) {
    store_tiles<uint16_t>(k, v, target, begin, end);
  } else if (size_of(k.dtype()) == 4) {
    store_tiles<uint32_t>(k, v, target, begin, end);
  } else {
    store_tiles<uint64_t>(k, v, target, begin, end);
  }
}

}  // namespace

void kv_store(const Tensor& k, const Tensor& v, std::span<const KvTarget> targets) {
  constexpr double work_of_rounding = 8;  // beside that of copying
  expect_rank("kv_store", "k", k, 3);
  expect("kv_store", "v", v, k.shape(), {k.dtype()});
  const double row_bytes =
      static_cast<double>(2 * k.dim(1) * k.dim(2)) * static_cast<double>(size_of(k.dtype()));
  Cost cost;
  double work = 0;  // in bytes copied
  for (const KvTarget& target : targets) {
    check(target.row_begin >= 0 && target.count >= 0 && target.row_begin + target.count <= k.dim(0),
          "a target takes rows that exist");
    const auto rows = static_cast<double>(target.count);
    const KvTile tile(DType::u8, k.dim(2), target.tiles.heads);
    const int64_t groups = k.dim(1) / tile.heads;
    const double kept = static_cast<double>(groups) * tile.elements_per_key();
    cost.activation_bytes += rows * row_bytes;
    cost.state_bytes += rows * (target.eight_bits ? kept : row_bytes);
    work += rows * row_bytes * (target.eight_bits ? work_of_rounding : 1);
  }
  count_cost(cost);
  if (any_meta(k, v)) {
    return;
  }
  // Below this a thread's wake-up costs more than the copy.
  constexpr double bytes_worth_a_thread = 1 << 18;
  const int64_t parts =
      work < 2 * bytes_worth_a_thread ? 1 : static_cast<int64_t>(work / bytes_worth_a_thread);
  parallel_for(parts, [&](int64_t part) {
    for (const KvTarget& target : targets) {
      store_part(k, v, target, part, parts);
    }
  });
}

}  // namespace sambay::ops
