#include "nn/state.h"

#include <gtest/gtest.h>

#include "ops/op_test_util.h"
#include "support/layer_state.h"

namespace sambay {
namespace {

constexpr int64_t heads = 2, width = 3;

StateSpec key_value_spec(StateKind kind, int64_t capacity) {
  const StateBuffer k = {"k", kind, {heads, width}, DType::f32, capacity};
  StateBuffer v = k;
  v.name = "v";
  return {k, v};
}

// Element x of head h of token p.
float key(int64_t p, int64_t h, int64_t x) {
  return static_cast<float>(p * 100 + h * 10 + x);
}

// Stores the tokens [from, to) whose fresh rows begin at row 2 of a tensor.
void store(const LayerState& state, int64_t from, int64_t to) {
  const Tensor k = Tensor::zeros({2 + to - from, heads, width}, DType::f32);
  for (int64_t p = from; p < to; ++p) {
    for (int64_t i = 0; i < heads * width; ++i) {
      k.data<float>()[(2 + p - from) * heads * width + i] = key(p, i / width, i % width);
    }
  }
  std::vector<ops::KvTarget> targets;
  append_targets(state, 0, 1, from, to, 2, targets);
  int64_t stored = 0;
  for (const ops::KvTarget& target : targets) {
    stored += target.count;
  }
  const Tensor& ring = state.buffers[0].data;
  EXPECT_EQ(stored, ring.defined() ? std::min(to - from, ring.dim(1)) : to - from);
  ops::kv_store(k, k, targets);
}

void expect_holds(const LayerState& state, int64_t from, int64_t to, size_t most_spans) {
  ops::KvSpans spans;
  append_spans(state, 0, 1, from, to, spans);
  EXPECT_LE(spans.spans.size(), most_spans);
  int64_t p = from;
  for (const ops::KvSpan& span : spans.spans) {
    EXPECT_EQ(span.first, p);
    for (int64_t i = 0; i < span.count; ++i, ++p) {
      for (int64_t h = 0; h < heads; ++h) {
        const auto* k =
            static_cast<const float*>(span.k) + i * span.k_token_stride + h * span.k_head_stride;
        const auto* v =
            static_cast<const float*>(span.v) + i * span.v_token_stride + h * span.v_head_stride;
        EXPECT_EQ(k[width - 1], key(p, h, width - 1));
        EXPECT_EQ(v[0], key(p, h, 0));
      }
    }
  }
  EXPECT_EQ(p, to);
}

TEST(State, ARingHoldsTheLastTokensInAtMostTwoSpans) {
  const auto state = testing::make_layer_state(key_value_spec(StateKind::ring, 5), 0);
  int64_t length = 0;
  for (const int64_t chunk : {3, 1, 4, 13, 1, 5}) {
    store(state, length, length + chunk);
    length += chunk;
    expect_holds(state, std::max<int64_t>(0, length - 5), length, 2);
  }
}

TEST(State, PagesHoldEveryTokenInOneSpanEach) {
  const auto state =
      testing::make_layer_state(key_value_spec(StateKind::growing, 0), 3 * page_tokens + 8);
  int64_t length = 0;
  for (const int64_t chunk :
       {int64_t{1}, page_tokens - 2, int64_t{1}, int64_t{2}, 2 * page_tokens + 2}) {
    store(state, length, length + chunk);
    length += chunk;
    expect_holds(state, 0, length, static_cast<size_t>((length + page_tokens - 1) / page_tokens));
  }
}

}  // namespace
}  // namespace sambay
