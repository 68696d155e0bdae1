// What a mixer keeps of a sequence between calls: three kinds, and nobody else need know more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/attention.h"
#include "ops/kv_store.h"

#include "tensor/tensor.h"

namespace sambay {

// fixed: one tensor, zero at the start. ring: the items of the last `capacity` tokens, (heads,
// width) each. growing: something of all tokens, in pages that sequences can share; an item is what
// ops::tile_keys tokens take, (groups of heads, elements).
enum class StateKind : uint8_t { fixed, ring, growing };

struct StateBuffer {
  std::string name;  // "conv", "ssm", "k", "v", "kv"
  StateKind kind = StateKind::fixed;
  Shape item;
  DType dtype = DType::f32;
  int64_t capacity = 0;  // ring only

  bool operator==(const StateBuffer&) const = default;
};
using StateSpec = std::vector<StateBuffer>;

// Long enough for memory to stream, short beside a conversation.
inline constexpr int64_t page_tokens = 256;
inline constexpr int64_t page_items = page_tokens / ops::tile_keys;

// (groups, page_items, elements).
using Page = std::shared_ptr<Tensor>;

// One layer's state of one sequence; buffers in the order of the mixer's StateSpec.
struct LayerState {
  struct Buffer {
    Tensor data;  // fixed: item; ring: (heads, capacity, width), token p at p % capacity
    std::vector<Page> pages;  // growing: token p is in pages[p / page_tokens]
  };
  std::vector<Buffer> buffers;
};

// Spans of the tokens [from, to) that the rings k and v of a layer hold: at most two.
void append_ring_spans(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                       ops::KvSpans& spans);
// Where the last `capacity` of the tokens [from, to) go; row_begin is the row of token `from` in
// the fresh tensors.
void append_ring_targets(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                         int64_t row_begin, std::vector<ops::KvTarget>& targets);

// The same for keys and values in the tiles, of `heads` key heads each, of a growing buffer: one a
// page. The pages exist already (SequenceState::reserve).
void append_page_spans(const LayerState& layer, int kv, int64_t heads, int64_t from, int64_t to,
                       ops::KvSpans& spans);
void append_page_targets(const LayerState& layer, int kv, int64_t heads, int64_t from, int64_t to,
                         int64_t row_begin, std::vector<ops::KvTarget>& targets);

}  // namespace sambay
