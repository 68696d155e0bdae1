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

// fixed: one tensor, zero at the start. ring: the items of the last `capacity` tokens. growing: the
// items of all tokens, in pages that sequences can share. Items of ring and growing are (heads,
// width).
enum class StateKind : uint8_t { fixed, ring, growing };

struct StateBuffer {
  std::string name;  // "conv", "ssm", "k", "v"
  StateKind kind = StateKind::fixed;
  Shape item;
  DType dtype = DType::f32;
  int64_t capacity = 0;  // ring only

  bool operator==(const StateBuffer&) const = default;
};
using StateSpec = std::vector<StateBuffer>;

// Long enough for memory to stream a head's keys, short beside a conversation.
inline constexpr int64_t page_tokens = 256;

// Items of page_tokens tokens, laid out (heads, page_tokens, width).
using Page = std::shared_ptr<Tensor>;

// One layer's state of one sequence; buffers in the order of the mixer's StateSpec.
struct LayerState {
  struct Buffer {
    Tensor data;  // fixed: item; ring: (heads, capacity, width), token p at p % capacity
    std::vector<Page> pages;  // growing: token p at pages[p / page_tokens], row p % page_tokens
  };
  std::vector<Buffer> buffers;
};

// Spans of the tokens [from, to) that buffers k and v of a layer hold: at most two for a ring, one
// a page.
void append_spans(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                  ops::KvSpans& spans);
// Where the tokens [from, to) go; row_begin is the row of token `from` in the fresh tensors.
// The pages exist already (SequenceState::reserve). A ring keeps the last `capacity` of them.
void append_targets(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                    int64_t row_begin, std::vector<ops::KvTarget>& targets);

}  // namespace sambay
