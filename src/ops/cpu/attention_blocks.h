// The blocks of queries that attention's tasks are made of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "ops/attention.h"
#include "ops/cpu/attention_kernels.h"

namespace sambay::ops::cpu {

// The query heads that read one key head, in lane blocks: all of a segment's queries, cut so that a
// block's (query, head) rows fit the lanes.
struct LaneBlocks {
  int64_t group;        // query heads per key head
  int64_t heads;        // of a block
  int64_t queries;      // of a block
  int64_t head_blocks;  // blocks that one query's heads make

  explicit LaneBlocks(const HeadMap& map)
      : group(map.heads / map.k_heads),
        heads(std::min<int64_t>(group, attention_lanes)),
        queries(attention_lanes / heads),
        head_blocks((group + heads - 1) / heads) {}

  int64_t count(int64_t rows) const { return (rows + queries - 1) / queries * head_blocks; }
};

// Block `index` of a segment's queries: which rows of the segment, and which query heads.
struct LaneBlock {
  int64_t first_query, queries, first_head, heads, head_step;

  LaneBlock(const LaneBlocks& blocks, const HeadMap& map, int64_t k_head, int64_t rows,
            int64_t index)
      : first_query(index / blocks.head_blocks * blocks.queries),
        queries(std::min(blocks.queries, rows - first_query)),
        head_step(map.paired ? 2 : 1) {
    const int64_t in_group = index % blocks.head_blocks * blocks.heads;
    heads = std::min(blocks.heads, blocks.group - in_group);
    first_head = map.paired ? 2 * (k_head / 2 * blocks.group + in_group) + k_head % 2
                            : k_head * blocks.group + in_group;
  }

  int64_t query(int64_t lane) const { return first_query + lane / heads; }
  int64_t head(int64_t lane) const { return first_head + lane % heads * head_step; }
};

// A window of everything still leaves room to subtract it from a position.
inline int64_t window_or_all(const AttentionOptions& options) {
  constexpr int64_t all = std::numeric_limits<int64_t>::max() / 2;
  return options.window == 0 ? all : std::min(options.window, all);
}

// First element of row `row`, head `head` of a (T, H, d) tensor.
inline const void* element(const Tensor& t, int64_t row, int64_t head) {
  return static_cast<const std::byte*>(t.raw()) +
         (row * t.stride(0) + head * t.stride(1)) * static_cast<int64_t>(size_of(t.dtype()));
}
inline void* element_mut(const Tensor& t, int64_t row, int64_t head) {
  return const_cast<void*>(element(t, row, head));
}

// The block as the kernels take it, its first row being row `row` of q, at position `position`.
inline QueryBlock query_block(const Tensor& q, const LaneBlock& lanes, int64_t row,
                              int64_t position, const AttentionOptions& options) {
  QueryBlock block;
  block.dtype = q.dtype();
  block.q = element(q, row, lanes.first_head);
  block.q_stride = q.stride(0);
  block.q_head_stride = q.stride(1) * lanes.head_step;
  block.queries = static_cast<int>(lanes.queries);
  block.heads = static_cast<int>(lanes.heads);
  block.first = position;
  block.window = window_or_all(options);
  block.scale = options.scale;
  block.head_dim = options.map.head_dim;
  block.v_dim = options.map.v_dim();
  return block;
}

// Value head that starts the values which key head `k_head` goes with.
inline int64_t first_v_head(const HeadMap& map, int64_t k_head) {
  return map.paired ? k_head / 2 * 2 : k_head;
}

// The part of a span at positions [begin, end), for one key head; dtype u8: of tiles in 8 bits. Its
// count may be zero or less.
inline KeyRun key_run(const KvSpan& span, DType dtype, const HeadMap& map, int64_t k_head,
                      int64_t begin, int64_t end) {
  const auto size = static_cast<int64_t>(size_of(dtype));
  KeyRun run;
  run.first = std::max(begin, span.first);
  run.count = std::min(end, span.first + span.count) - run.first;
  if (run.count <= 0) {
    return run;
  }
  if (span.tiles.at != nullptr) {
    const KvTile tile(dtype, map.head_dim, span.tiles.heads);
    const int64_t past = run.first / tile_keys - span.first / tile_keys;
    const auto* at =
        static_cast<const std::byte*>(span.tiles.at) +
        (k_head / tile.heads * span.tiles.group_stride + past * tile.elements()) * size;
    run.tiled = true;
    run.k = at + tile.keys_of(k_head % tile.heads) * size;
    run.v = at + tile.values_of(first_v_head(map, k_head) % tile.heads) * size;
    run.k_stride = run.v_stride = tile.elements();
    run.v_half_stride = tile.value_elements();
    if (dtype == DType::u8) {
      run.k_scales = at + KvTile::scales_of(k_head % tile.heads);
      run.v_scales = at + KvTile::scales_of(tile.heads);
    }
    return run;
  }
  const int64_t token = run.first - span.first;
  run.k = static_cast<const std::byte*>(span.k) +
          (token * span.k_token_stride + k_head * span.k_head_stride) * size;
  run.v = static_cast<const std::byte*>(span.v) +
          (token * span.v_token_stride + first_v_head(map, k_head) * span.v_head_stride) * size;
  run.k_stride = span.k_token_stride;
  run.v_stride = span.v_token_stride;
  run.v_half_stride = span.v_head_stride;
  return run;
}

}  // namespace sambay::ops::cpu
