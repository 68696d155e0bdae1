// The tables of attention kernels, one of each kind per instruction set.
#pragma once

#include <cstdint>

#include "ops/kv_tiles.h"
#include "tensor/dtype.h"

namespace sambay::ops {

// A block of queries: (query, head) rows that share one key head, side by side in vector lanes.
// Lane i * heads + r is head r of query i.
inline constexpr int attention_lanes = 64;
inline constexpr int attention_keys = 64;

constexpr int64_t padded16(int64_t n) {
  return (n + 15) / 16 * 16;
}

struct QueryBlock {
  DType dtype = DType::f32;
  const void* q = nullptr;     // first query, first head
  int64_t q_stride = 0;        // elements between queries
  int64_t q_head_stride = 0;   // elements between the heads of the block
  int queries = 0, heads = 0;  // queries * heads <= attention_lanes
  int64_t first = 0;           // position of the first query
  int64_t window = 0;          // keys that a query sees; half of INT64_MAX: all
  float scale = 1.0F;
  int64_t head_dim = 0, v_dim = 0;  // v_dim is one or two head_dim

  int rows() const { return queries * heads; }
  // Lanes that are computed: whole vectors of every level.
  int width() const { return static_cast<int>(padded16(rows())); }
};

// Consecutive keys and values of one key head. Strides in elements; the second half of a value of
// two head_dim lies v_half_stride behind the first. Of rows, k and v are the first key's, and
// strides lie between tokens; of tiles (ops/kv_tiles.h), they are the first key's tile, and strides
// lie between tiles.
struct KeyRun {
  const void* k = nullptr;
  const void* v = nullptr;
  int64_t k_stride = 0, v_stride = 0, v_half_stride = 0;
  int64_t first = 0, count = 0;  // positions [first, first + count)
  bool tiled = false;
  // Of tiles of u8: the scales of the first tile.
  const void* k_scales = nullptr;
  const void* v_scales = nullptr;
};

// Softmax over some of the keys, not yet divided by its sum: rows are lanes.
struct AttentionPartial {
  float* max = nullptr;  // of scale * score, -infinity without a key
  float* sum = nullptr;
  float* acc = nullptr;  // (rows, v_dim)
};

struct AttentionForwardKernels {
  // Lays out the queries in `scratch`, of attention_forward_scratch() floats, and empties the sums.
  void (*begin)(const QueryBlock& block, float* scratch);
  // Takes in keys, of which each query sees those in its window.
  void (*visit)(const QueryBlock& block, const KeyRun& run, float* scratch);
  void (*finish)(const QueryBlock& block, const float* scratch, const AttentionPartial& partial);
  // Row `row` of `count` partials in their order, `stride` floats apart in each of the three
  // arrays' memory, becomes a row of out and its lse; the maxima are used up.
  void (*merge)(const AttentionPartial& partial, int row, int count, int64_t stride, int64_t v_dim,
                DType dtype, void* out, float* lse);
};

// Floats of scratch: queries, widened or paired keys and values, scores, probabilities, sums.
constexpr int64_t attention_forward_scratch(int64_t head_dim, int64_t v_dim) {
  return attention_lanes * (3 * padded16(head_dim) + 2 * padded16(v_dim) + 2 * attention_keys + 4);
}

// Few queries against many keys: each key and value is read once for all rows, in the order of
// memory. `blocks` holds one block, or two whose key heads share their values (a pair); row i of
// block b is row b * blocks[0].rows() + i of the partial.
inline constexpr int decode_rows = 16;    // at most, of all blocks
inline constexpr int decode_keys = 32;    // rows worked on at a time: with their values they fit L1
inline constexpr int widened_units = 16;  // of a tile, where bf16 is widened: they too

struct AttentionDecodeKernels {
  void (*begin)(const QueryBlock* blocks, int count, float* scratch);
  // runs[b] are the same tokens' keys for block b; the values are those of runs[0]. next[b] is what
  // will be visited next, so that memory is asked for it in time, or has no keys.
  void (*visit)(const QueryBlock* blocks, int count, const KeyRun* runs, const KeyRun* next,
                float* scratch);
  // The same for keys in tiles.
  void (*visit_tiles)(const QueryBlock* blocks, int count, const KeyRun* runs, float* scratch);
  void (*finish)(const QueryBlock* blocks, int count, const float* scratch,
                 const AttentionPartial& partial);
};

// Floats of scratch (simd/attention_softmax.h).
constexpr int64_t attention_decode_scratch(int64_t head_dim, int64_t v_dim) {
  const int64_t row = padded16(head_dim) + 16 + tile_keys + 16 + v_dim + 1;
  return decode_rows * row + 16 + widened_units * 2 * KvTile::block_columns;
}

// What the backward knows of a block's queries besides q: (rows, heads, v_dim) operands with the
// strides between queries and between the block's heads, in elements.
struct BlockGradients {
  const void* out = nullptr;
  int64_t out_stride = 0, out_head_stride = 0;
  const void* d_out = nullptr;
  int64_t d_out_stride = 0, d_out_head_stride = 0;
  const float* lse = nullptr;
  int64_t lse_stride = 0, lse_head_stride = 0;
  void* d_q = nullptr;
  int64_t d_q_stride = 0, d_q_head_stride = 0;
};

// Gradients of a block of at most attention_keys keys, in the dtype of the block.
struct KeyGradients {
  void* d_k = nullptr;
  int64_t d_k_stride = 0;
  void* d_v = nullptr;
  int64_t d_v_stride = 0, d_v_half_stride = 0;
};

struct AttentionBackwardKernels {
  // A record is a block of queries as the products want it, with its gradient as it grows.
  int64_t (*record_floats)(const QueryBlock& block);
  int64_t (*scratch_floats)(const QueryBlock& block);
  void (*prepare)(const QueryBlock& block, const BlockGradients& gradients, float* record,
                  float* scratch);
  // Lays out a block of keys and empties its gradients; those of the values only if `new_values`:
  // the second key head of a pair goes on with them.
  void (*begin_keys)(const QueryBlock& block, const KeyRun& run, bool new_values, float* scratch);
  void (*visit)(const QueryBlock& block, const KeyRun& run, float* record, float* scratch);
  // Either pointer may be null.
  void (*store_keys)(const QueryBlock& block, int count, const float* scratch,
                     const KeyGradients& gradients);
  void (*store_queries)(const QueryBlock& block, const float* record,
                        const BlockGradients& gradients, float* scratch);
};

}  // namespace sambay::ops
