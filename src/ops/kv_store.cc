#include "ops/kv_store.h"

#include <algorithm>
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

// Tiles [begin, end) of those that the target touches.
template <class Element>
void store_tiles(const Tensor& k, const Tensor& v, const KvTarget& target, int64_t begin,
                 int64_t end) {
  const KvTile layout(k.dtype(), k.dim(2), target.tiles.heads);
  const int64_t offset = target.first % tile_keys;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t from = std::max<int64_t>(0, t * tile_keys - offset);
    const int64_t to = std::min(target.count, (t + 1) * tile_keys - offset);
    for (int64_t head = 0; head < k.dim(1); ++head) {
      auto* tile = static_cast<Element*>(target.tiles.at) +
                   head / layout.heads * target.tiles.group_stride + t * layout.elements();
      fill_tile(k, v, head, target.row_begin + from, to - from, layout, (offset + from) % tile_keys,
                tile + layout.keys_of(head % layout.heads),
                tile + layout.values_of(head % layout.heads));
    }
  }
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
  expect_rank("kv_store", "k", k, 3);
  expect("kv_store", "v", v, k.shape(), {k.dtype()});
  int64_t rows = 0;
  for (const KvTarget& target : targets) {
    check(target.row_begin >= 0 && target.count >= 0 && target.row_begin + target.count <= k.dim(0),
          "a target takes rows that exist");
    rows += target.count;
  }
  const double bytes =
      static_cast<double>(2 * rows * k.dim(1) * k.dim(2)) * static_cast<double>(size_of(k.dtype()));
  Cost cost;
  cost.activation_bytes = bytes;
  cost.state_bytes = bytes;
  count_cost(cost);
  if (any_meta(k, v)) {
    return;
  }
  // Below this a thread's wake-up costs more than the copy.
  constexpr double bytes_worth_a_thread = 1 << 18;
  const int64_t parts =
      bytes < 2 * bytes_worth_a_thread ? 1 : static_cast<int64_t>(bytes / bytes_worth_a_thread);
  parallel_for(parts, [&](int64_t part) {
    for (const KvTarget& target : targets) {
      store_part(k, v, target, part, parts);
    }
  });
}

}  // namespace sambay::ops
