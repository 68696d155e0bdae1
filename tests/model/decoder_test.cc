#include "model/decoder.h"

#include <gmock/gmock.h>

#include "model/dry_run.h"
#include "model_fixture.h"

namespace sambay {
namespace {

using testing::f32;
using testing::kv_of_8_bits;
using testing::max_error;
using testing::small_config;
using testing::small_model;
using testing::some_ids;
using testing::values;

// Roundings of sums taken in another order, through eight layers.
constexpr double tolerance = 1e-4;

Segments one(int64_t rows, int64_t past = 0) {
  Segments segments;
  segments.add(rows, past);
  return segments;
}

// Logits of all of `ids` in pieces of `chunk` through `state`.
std::vector<float> run_chunks(const Decoder& decoder, Exec& exec, SequenceState& state,
                              std::span<const int32_t> ids, int64_t chunk) {
  std::vector<float> out;
  for (size_t at = 0; at < ids.size();) {
    const auto piece =
        ids.subspan(at, std::min<size_t>(static_cast<size_t>(chunk), ids.size() - at));
    const auto rows = static_cast<int64_t>(piece.size());
    const auto logits =
        values(decoder.logits(exec, {piece, one(rows, state.length()), {&state}, {}}));
    out.insert(out.end(), logits.begin(), logits.end());
    at += piece.size();
  }
  return out;
}

class EveryPreset : public ::testing::TestWithParam<std::string> {
 protected:
  Arena arena_;
  Decoder decoder_ = small_model(GetParam(), f32, arena_);
  Exec exec_{&arena_, nullptr, f32};

  SequenceState new_state() { return {decoder_.state_spec(f32), arena_}; }
  std::vector<float> whole(std::span<const int32_t> ids) {
    return values(decoder_.logits(exec_, {ids, one(static_cast<int64_t>(ids.size())), {}, {}}));
  }
};

TEST_P(EveryPreset, WholeEqualsChunkedEqualsTokenByToken) {
  const auto ids = some_ids(75);
  const auto expected = whole(ids);
  for (const int64_t chunk : {75, 64, 11, 1}) {
    auto state = new_state();
    EXPECT_LT(max_error(run_chunks(decoder_, exec_, state, ids, chunk), expected), tolerance)
        << chunk;
    EXPECT_EQ(state.length(), 75);
  }
}

TEST_P(EveryPreset, PackedSequencesEqualSeparateOnes) {
  const auto a = some_ids(9, 1), b = some_ids(1, 2), c = some_ids(20, 3);
  auto expected = whole(a);
  for (const auto* ids : {&b, &c}) {
    const auto more = whole(*ids);
    expected.insert(expected.end(), more.begin(), more.end());
  }
  std::vector<int32_t> ids = a;
  ids.insert(ids.end(), b.begin(), b.end());
  ids.insert(ids.end(), c.begin(), c.end());
  Segments packed;
  packed.add(9);
  packed.add(1);
  packed.add(0);
  packed.add(20);
  EXPECT_LT(max_error(values(decoder_.logits(exec_, {ids, packed, {}, {}})), expected), tolerance);
}

TEST_P(EveryPreset, MixesPrefillAndDecodeInOneForward) {
  const auto a = some_ids(20, 1), b = some_ids(13, 2);
  const auto all_a = whole(a), all_b = whole(b);
  auto state_a = new_state(), state_b = new_state();
  run_chunks(decoder_, exec_, state_a, std::span(a).first(19), 19);
  std::vector<int32_t> ids{a.back()};
  ids.insert(ids.end(), b.begin(), b.end());
  Segments mixed = one(1, 19);
  mixed.add(13, 0);
  const auto got = values(decoder_.logits(exec_, {ids, mixed, {&state_a, &state_b}, {1, 2}}));
  std::vector<float> expected(all_a.end() - 61, all_a.end());
  expected.insert(expected.end(), all_b.end() - 2 * 61, all_b.end());
  EXPECT_LT(max_error(got, expected), tolerance);
  EXPECT_EQ(state_b.length(), 13);
}

TEST_P(EveryPreset, WantedRowsAreThoseOfAllRows) {
  const auto ids = some_ids(40);
  const auto all = whole(ids);
  const std::vector<float> last(all.end() - 61, all.end());
  EXPECT_LT(max_error(values(decoder_.logits(exec_, {ids, one(40), {}, {1}})), last), tolerance);
  // A prompt whose first piece asks for nothing.
  auto state = new_state();
  const auto none = decoder_.logits(exec_, {std::span(ids).first(33), one(33), {&state}, {0}});
  EXPECT_EQ(none.shape(), (Shape{0, 61}));
  const auto got = decoder_.logits(exec_, {std::span(ids).subspan(33), one(7, 33), {&state}, {1}});
  EXPECT_LT(max_error(values(got), last), tolerance);
}

TEST_P(EveryPreset, ForksAndRestoredStatesGoOnAlike) {
  const auto ids = some_ids(90);
  const auto expected = whole(ids);
  const std::vector<float> tail(expected.end() - 20 * 61, expected.end());
  auto state = new_state();
  run_chunks(decoder_, exec_, state, std::span(ids).first(70), 70);
  auto fork = state.fork();
  auto restored = new_state();
  restored.restore(state.save());
  // The original goes another way first.
  run_chunks(decoder_, exec_, state, some_ids(20, 9), 20);
  for (auto* copy : {&fork, &restored}) {
    EXPECT_LT(max_error(run_chunks(decoder_, exec_, *copy, std::span(ids).subspan(70), 20), tail),
              tolerance);
  }
}

// A key or value is off by up to 1 / 254 of the largest number of its vector. Chunks differ by what
// decoding leaves of queries and probabilities, 2^-16, a few layers later.
TEST_P(EveryPreset, KeysAndValuesIn8BitsStayNear) {
  const auto ids = some_ids(75);
  const auto expected = whole(ids);
  const auto new_state_of_8_bits = [&] {
    return SequenceState(decoder_.state_spec(kv_of_8_bits), arena_);
  };
  auto state = new_state_of_8_bits();
  const auto at_once = run_chunks(decoder_, exec_, state, ids, 75);
  EXPECT_LT(max_error(at_once, expected), 2.0 / 254);
  for (const int64_t chunk : {64, 11, 1}) {
    auto other = new_state_of_8_bits();
    EXPECT_LT(max_error(run_chunks(decoder_, exec_, other, ids, chunk), at_once), 10 * 0x1p-16)
        << chunk;
  }
  auto restored = new_state_of_8_bits();
  restored.restore(state.save());
  const auto more = some_ids(20, 9);
  EXPECT_EQ(run_chunks(decoder_, exec_, restored, more, 20),
            run_chunks(decoder_, exec_, state, more, 20));
}

TEST_P(EveryPreset, GivesTheSameBitsAgain) {
  const auto ids = some_ids(50);
  EXPECT_EQ(whole(ids), whole(ids));
  allocate_gradients(decoder_, f32, arena_);
  const std::vector<int32_t> targets = some_ids(50, 4);
  const auto gradients = [&] {
    std::vector<float> out;
    for (auto& param : decoder_.params().all()) {
      param.weight.gradient.zero();
    }
    decoder_.loss(exec_, {ids, one(50), {}, {}}, targets, {.cross_entropy = {}, .gradients = true});
    for (const auto& param : decoder_.params().all()) {
      const auto more = values(param.weight.gradient);
      out.insert(out.end(), more.begin(), more.end());
    }
    return out;
  };
  EXPECT_EQ(gradients(), gradients());
}

INSTANTIATE_TEST_SUITE_P(Presets, EveryPreset, ::testing::ValuesIn(preset_names()),
                         [](const auto& test) { return test.param; });

TEST(Decoder, PrefillsHalfOfSambaYAndAllOfTheTransformer) {
  const auto flops = [](const std::string& preset, std::vector<int32_t> wanted) {
    Arena arena(Device::meta);
    Decoder decoder(small_config(preset));
    allocate(decoder, f32, arena);
    Exec exec{&arena, nullptr, f32};
    SequenceState state(decoder.state_spec(f32), arena);
    const auto ids = some_ids(512);
    Cost cost;
    const ScopedCostMeter meter(cost);
    decoder.hidden(exec, {ids, one(512), {&state}, std::move(wanted)});
    return cost.flops();
  };
  // The last layer of a transformer still skips its queries, output and MLP.
  EXPECT_GT(flops("transformer", {1}), 0.85 * flops("transformer", {}));
  // Five of eight layers, and the fifth's like of the sixth.
  EXPECT_LT(flops("sambay", {1}), 0.75 * flops("sambay", {}));
  EXPECT_LT(flops("sambay", {0}), flops("sambay", {1}));
}

TEST(Decoder, DryGenerationPricesWhatGenerationDoes) {
  const auto config = small_config("sambay");
  const auto cost = dry_generation(config, f32, 300, 128);
  const Decoder decoder(config);
  EXPECT_EQ(cost.state_bytes, state_bytes(decoder.state_spec(f32), 300));
  EXPECT_GE(cost.weight_bytes, static_cast<size_t>(decoder.params().elements()) * sizeof(float));
  EXPECT_GT(cost.peak_bytes, cost.weight_bytes + cost.state_bytes);
  // A decode step reads each weight once, but for the rows of the embedding that it does not need.
  const auto table = static_cast<double>(config.padded_vocab_size * config.width) * sizeof(float);
  EXPECT_NEAR(cost.decode.weight_bytes, static_cast<double>(cost.weight_bytes) - table,
              0.05 * static_cast<double>(cost.weight_bytes));
}

TEST(Decoder, RefusesIdsThatAreNoTokens) {
  Arena arena;
  const Decoder decoder = small_model("sambay", f32, arena);
  Exec exec{&arena, nullptr, f32};
  const std::vector<int32_t> ids = {1, 64};
  EXPECT_THROW(decoder.logits(exec, {ids, one(2), {}, {}}), Error);
}

}  // namespace
}  // namespace sambay
