#include "model/sequence_state.h"

#include <gmock/gmock.h>

#include <cstring>

namespace sambay {
namespace {

ModelStateSpec spec() {
  return {{{"ssm", StateKind::fixed, {3, 2}, DType::f32, 0}},
          {},
          {{"k", StateKind::ring, {2, 4}, DType::f32, 5},
           {"kv", StateKind::growing, {2, 3 * ops::tile_keys}, DType::bf16, 0}}};
}

// Writes `value` as the item of the tokens [from, to), as mixers would, and advances.
void append(SequenceState& state, int64_t tokens, float value) {
  state.reserve(tokens);
  auto& fixed = state.layer(0).buffers[0].data;
  std::fill_n(fixed.data<float>(), fixed.elements(), value);
  for (int64_t t = state.length(); t < state.length() + tokens; ++t) {
    for (int64_t head = 0; head < 2; ++head) {
      float* ring = state.layer(2).buffers[0].data.data<float>();
      std::fill_n(ring + (head * 5 + t % 5) * 4, 4, value + static_cast<float>(t));
      // Three numbers a token; the first of an item clears it.
      const Tensor& page = *state.layer(2).buffers[1].pages[static_cast<size_t>(t / page_tokens)];
      const int64_t in_page = t % page_tokens, key = t % ops::tile_keys;
      Bf16* item =
          page.data<Bf16>() + (head * page_items + in_page / ops::tile_keys) * 3 * ops::tile_keys;
      if (key == 0) {
        std::fill_n(item, 3 * ops::tile_keys, Bf16{});
      }
      std::fill_n(item + 3 * key, 3, to_bf16(value + static_cast<float>(t)));
    }
  }
  state.advance(tokens);
}

TEST(SequenceState, StartsEmptyAndGrowsByPages) {
  Arena arena;
  SequenceState state(spec(), arena);
  EXPECT_EQ(state.bytes(), state_bytes(spec(), 0));
  EXPECT_EQ(state.layer(0).buffers[0].data.data<float>()[5], 0.0F);
  append(state, 1, 1);
  EXPECT_EQ(state.bytes(), state_bytes(spec(), 1));
  append(state, page_tokens, 1);
  EXPECT_EQ(state.layer(2).buffers[1].pages.size(), 2U);
  EXPECT_EQ(state.bytes(), state_bytes(spec(), page_tokens + 1));
  EXPECT_EQ(state_bytes(spec(), page_tokens + 1), 24U + 160U + 2 * page_tokens * 12U);
}

TEST(SequenceState, ForksGoOnIndependently) {
  Arena arena;
  SequenceState state(spec(), arena);
  append(state, page_tokens + 6, 1);
  const auto before = state.save();
  SequenceState fork = state.fork();
  EXPECT_EQ(fork.layer(2).buffers[1].pages[0], state.layer(2).buffers[1].pages[0]);
  append(fork, 3, 50);
  EXPECT_EQ(state.save(), before);
  EXPECT_EQ(fork.layer(2).buffers[1].pages[0], state.layer(2).buffers[1].pages[0]);
  EXPECT_NE(fork.layer(2).buffers[1].pages[1], state.layer(2).buffers[1].pages[1]);
  const auto forked = fork.save();
  append(state, 3, 90);
  EXPECT_EQ(fork.save(), forked);
}

TEST(SequenceState, ForkOfAResetStateDoesNotDisturbIt) {
  Arena arena;
  SequenceState state(spec(), arena);
  append(state, page_tokens + 6, 1);
  const SequenceState fork = state.fork();
  const auto image = fork.save();
  state.reset();
  append(state, page_tokens + 6, 5);
  EXPECT_EQ(fork.save(), image);
}

TEST(SequenceState, ResetKeepsMemoryAndForgetsTheRest) {
  Arena arena;
  SequenceState state(spec(), arena);
  append(state, page_tokens + 6, 1);
  const size_t bytes = state.bytes();
  state.reset();
  EXPECT_EQ(state.length(), 0);
  EXPECT_EQ(state.bytes(), bytes);
  EXPECT_EQ(state.save(), SequenceState(spec(), arena).save());
}

TEST(SequenceState, RestoresWhatItSaved) {
  Arena arena;
  for (const int64_t length :
       {int64_t{0}, int64_t{1}, int64_t{3}, page_tokens, 2 * page_tokens + 3}) {
    SequenceState state(spec(), arena);
    append(state, length, 1);
    const auto image = state.save();
    SequenceState other(spec(), arena);
    append(other, 200, 7);
    const SequenceState fork = other.fork();
    const auto of_fork = fork.save();
    other.restore(image);
    EXPECT_EQ(other.length(), length);
    EXPECT_EQ(other.save(), image);
    EXPECT_EQ(fork.save(), of_fork);
  }
}

TEST(SequenceState, RefusesImagesThatAreNotItsOwn) {
  Arena arena;
  SequenceState state(spec(), arena);
  append(state, page_tokens + 6, 1);
  const auto image = state.save();
  SequenceState other(spec(), arena);
  append(other, 2, 3);
  const auto before = other.save();
  for (size_t size = 0; size < image.size(); size += 7) {
    EXPECT_THROW(other.restore(std::span(image).first(size)), Error) << size;
  }
  for (size_t i = 0; i < image.size(); i += 5) {
    auto damaged = image;
    damaged[i] ^= std::byte{0x80};
    EXPECT_THROW(other.restore(damaged), Error) << i;
  }
  auto longer = image;
  longer.push_back(std::byte{0});
  EXPECT_THROW(other.restore(longer), Error);
  auto changed = spec();
  changed[2][0].capacity = 6;
  SequenceState foreign(changed, arena);
  EXPECT_THROW(foreign.restore(image), Error);
  EXPECT_EQ(other.save(), before);
}

}  // namespace
}  // namespace sambay
