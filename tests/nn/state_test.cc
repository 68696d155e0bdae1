#include "nn/state.h"

#include <gtest/gtest.h>

#include "ops/op_test_util.h"
#include "support/kv_rows.h"
#include "support/layer_state.h"

namespace sambay {
namespace {

constexpr int64_t heads = 2, width = 3;

StateSpec ring_spec(int64_t capacity) {
  return {{"k", StateKind::ring, {heads, width}, DType::f32, capacity},
          {"v", StateKind::ring, {heads, width}, DType::f32, capacity}};
}
StateSpec page_spec() {
  return {{"kv", StateKind::growing, {1, ops::KvTile(DType::f32, width, heads).elements()}}};
}

// Element x of head h of token p.
float key(int64_t p, int64_t h, int64_t x) {
  return static_cast<float>(p * 100 + h * 10 + x);
}

bool is_ring(const LayerState& state) {
  return state.buffers[0].data.defined();
}

// Stores the tokens [from, to) whose fresh rows begin at row 2 of a tensor; values are keys'
// negated.
void store(const LayerState& state, int64_t from, int64_t to) {
  const Tensor k = Tensor::zeros({2 + to - from, heads, width}, DType::f32), v = k.clone();
  for (int64_t p = from; p < to; ++p) {
    for (int64_t i = 0; i < heads * width; ++i) {
      const int64_t at = (2 + p - from) * heads * width + i;
      k.data<float>()[at] = key(p, i / width, i % width);
      v.data<float>()[at] = -key(p, i / width, i % width);
    }
  }
  std::vector<ops::KvTarget> targets;
  int64_t expected = to - from;
  if (is_ring(state)) {
    append_ring_targets(state, 0, 1, from, to, 2, targets);
    expected = std::min(expected, state.buffers[0].data.dim(1));
  } else {
    append_page_targets(state, 0, heads, from, to, 2, targets);
  }
  int64_t stored = 0;
  for (const ops::KvTarget& target : targets) {
    stored += target.count;
  }
  EXPECT_EQ(stored, expected);
  ops::kv_store(k, v, targets);
}

void expect_holds(const LayerState& state, int64_t from, int64_t to, size_t most_spans) {
  ops::KvSpans spans;
  if (is_ring(state)) {
    append_ring_spans(state, 0, 1, from, to, spans);
  } else {
    append_page_spans(state, 0, heads, from, to, spans);
  }
  EXPECT_LE(spans.spans.size(), most_spans);
  EXPECT_EQ(spans.dtype, DType::f32);
  int64_t p = from;
  for (const ops::KvSpan& span : spans.spans) {
    EXPECT_EQ(span.first, p);
    const testing::KvRows rows = testing::rows_of(span, DType::f32, heads, width);
    for (int64_t i = 0; i < span.count * heads * width; ++i) {
      const float expected = key(p + i / (heads * width), i / width % heads, i % width);
      EXPECT_EQ(rows.k.data<float>()[i], expected);
      EXPECT_EQ(rows.v.data<float>()[i], -expected);
    }
    p += span.count;
  }
  EXPECT_EQ(p, to);
}

TEST(State, ARingHoldsTheLastTokensInAtMostTwoSpans) {
  const auto state = testing::make_layer_state(ring_spec(5), 0);
  int64_t length = 0;
  for (const int64_t chunk : {3, 1, 4, 13, 1, 5}) {
    store(state, length, length + chunk);
    length += chunk;
    expect_holds(state, std::max<int64_t>(0, length - 5), length, 2);
  }
}

TEST(State, PagesHoldEveryTokenInOneSpanEach) {
  const auto state = testing::make_layer_state(page_spec(), 3 * page_tokens + 8);
  int64_t length = 0;
  for (const int64_t chunk :
       {int64_t{1}, page_tokens - 2, int64_t{1}, int64_t{2}, 2 * page_tokens + 2}) {
    store(state, length, length + chunk);
    length += chunk;
    expect_holds(state, 0, length, static_cast<size_t>((length + page_tokens - 1) / page_tokens));
    expect_holds(state, length / 2, length, 3);
  }
}

}  // namespace
}  // namespace sambay
