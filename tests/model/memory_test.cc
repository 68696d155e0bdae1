// Memory: what a dry run says of it, and what a step of decoding takes anew.
#include <gtest/gtest.h>

#include "base/cpu.h"
#include "heap_counter.h"
#include "model/decoder.h"
#include "model_fixture.h"

namespace sambay {
namespace {

using testing::bf16;
using testing::f32;
using testing::heap_allocations;
using testing::kv_of_8_bits;
using testing::small_config;
using testing::some_ids;

Segments one(int64_t rows, int64_t past = 0) {
  Segments segments;
  segments.add(rows, past);
  return segments;
}

struct Footprint {
  size_t kept = 0;  // when the run is over: weights, gradients
  size_t peak = 0;
};

template <class Run>
Footprint footprint(const ModelConfig& config, const Precision& precision, Device device, Run run) {
  Arena arena(device);
  Decoder decoder(config);
  initialize(decoder, precision, 1, arena);
  Exec exec{&arena, nullptr, precision};
  run(decoder, exec);
  return {arena.bytes_in_use(), arena.peak_bytes()};
}

// At every level that this machine has: kernels differ in the scratch memory that they take.
template <class Run>
void expect_dry_is_real(const std::string& preset, Run run) {
  const auto config = small_config(preset);
  for (const Isa level : available_isas()) {
    const ScopedIsa scoped(level);
    for (const Precision& precision : {f32, bf16, kv_of_8_bits}) {
      const auto dry = footprint(config, precision, Device::meta, run);
      const auto real = footprint(config, precision, Device::cpu, run);
      EXPECT_EQ(dry.kept, real.kept) << name(level) << " " << name(precision.compute);
      EXPECT_EQ(dry.peak, real.peak) << name(level) << " " << name(precision.compute);
    }
  }
}

// A prompt in chunks, then some tokens one by one.
void generate(Decoder& decoder, Exec& exec, int64_t prompt, int64_t chunk) {
  SequenceState state(decoder.state_spec(exec.precision), *exec.arena);
  const auto ids = some_ids(chunk);
  while (state.length() < prompt) {
    decoder.logits(exec, {ids, one(chunk, state.length()), {&state}, {1}});
  }
  for (int step = 0; step < 3; ++step) {
    decoder.logits(exec, {std::span(ids).first(1), one(1, state.length()), {&state}, {1}});
  }
}

void train(Decoder& decoder, Exec& exec) {
  const auto ids = some_ids(100);
  Segments packed;
  packed.add(60);
  packed.add(1);
  packed.add(39);
  allocate_gradients(decoder, exec.precision, *exec.arena);
  decoder.loss(exec, {ids, packed, {}, {}}, ids, {.cross_entropy = {}, .gradients = true});
}

class MemoryOf : public ::testing::TestWithParam<std::string> {};

TEST_P(MemoryOf, DryGenerationIsThatOfTheRealOne) {
  expect_dry_is_real(GetParam(),
                     [](Decoder& decoder, Exec& exec) { generate(decoder, exec, 96, 32); });
}

// Mixed with a prompt of one piece, of which nothing is wanted.
TEST_P(MemoryOf, DryMixedBatchesAreThatOfTheRealOnes) {
  expect_dry_is_real(GetParam(), [](Decoder& decoder, Exec& exec) {
    SequenceState a(decoder.state_spec(exec.precision), *exec.arena);
    SequenceState b(decoder.state_spec(exec.precision), *exec.arena);
    const auto ids = some_ids(50);
    decoder.logits(exec, {ids, one(50), {&a}, {0}});
    Segments mixed = one(1, 50);
    mixed.add(29);
    decoder.logits(exec, {std::span(ids).first(30), mixed, {&a, &b}, {1, 2}});
  });
}

TEST_P(MemoryOf, DryTrainingIsThatOfTheRealOne) {
  expect_dry_is_real(GetParam(), train);
}

TEST_P(MemoryOf, DryTrainingWithRecomputationIsThatOfTheRealOne) {
  expect_dry_is_real(GetParam(), [](Decoder& decoder, Exec& exec) {
    exec.recompute_layers = true;
    train(decoder, exec);
  });
}

// Within a page of keys and values, whose next one is state and no scratch memory.
TEST_P(MemoryOf, StepsOfDecodingTakeNothingAnew) {
  constexpr int steps = 16;
  Arena arena;
  Decoder decoder(small_config(GetParam()));
  initialize(decoder, bf16, 1, arena);
  Exec exec{&arena, nullptr, bf16};
  SequenceState state(decoder.state_spec(bf16), arena);
  const auto ids = some_ids(2 * page_tokens + 8);
  decoder.logits(exec, {ids, one(static_cast<int64_t>(ids.size())), {&state}, {1}});
  const auto step = [&] {
    decoder.logits(exec, {std::span(ids).first(1), one(1, state.length()), {&state}, {1}});
  };
  step();
  arena.reset_peak();
  const size_t held = arena.bytes_in_use();
  step();
  const size_t peak = arena.peak_bytes();
  const int64_t before = heap_allocations();
  for (int i = 0; i < steps; ++i) {
    step();
  }
  const int64_t per_step = (heap_allocations() - before) / steps;
  EXPECT_EQ(arena.bytes_in_use(), held);
  EXPECT_EQ(arena.peak_bytes(), peak);
  RecordProperty("heap_allocations_per_step", static_cast<int>(per_step));
  // Views, copies of segments, lists of spans: small ones.
  // The reference converts its operands, and that is not counted here.
  if (isa() != Isa::reference) {
    EXPECT_LE(per_step, 45 * static_cast<int64_t>(decoder.config().layers.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, MemoryOf, ::testing::ValuesIn(preset_names()),
                         [](const auto& test) { return test.param; });

// Few queries of many keys: attention cuts the keys and keeps partial results.
TEST(Memory, DryDecodingOfLongContextsIsThatOfTheRealOne) {
  const auto run = [](Decoder& decoder, Exec& exec) { generate(decoder, exec, 2500, 500); };
  for (const std::string preset : {"sambay", "sambayda"}) {
    const auto config = small_config(preset);
    EXPECT_EQ(footprint(config, bf16, Device::meta, run).peak,
              footprint(config, bf16, Device::cpu, run).peak);
  }
}

}  // namespace
}  // namespace sambay
