#include <gtest/gtest.h>

#include <cmath>

#include "model/dry_run.h"
#include "perf/throughput.h"
#include "perf/training.h"

namespace sambay {
namespace {

constexpr Precision bf16 = {DType::bf16, DType::f32};
constexpr PerfOptions quick = {.seconds = 0,
                               .ceilings = {.buffer_bytes = 1 << 22, .seconds_per_figure = 0.001}};

ModelConfig tiny(const std::string& preset) {
  return make_preset({.name = preset,
                      .depth = 4,
                      .width = 32,
                      .heads = 4,
                      .kv_heads = 2,
                      .head_dim = 8,
                      .mlp_width = 64,
                      .vocab_size = 64,
                      .window = 8});
}

TEST(Rig, LogitsOfRandomWeightsAndStatesAreFiniteAndVary) {
  for (const std::string& preset : preset_names()) {
    if (preset == "phi4miniflash") {
      continue;  // its depth is its own
    }
    Rig rig(tiny(preset), bf16);
    std::vector<SequenceState> states;
    states.push_back(rig.sequence(200));
    Rig::stand_at(states[0], 150);
    const Tensor logits = rig.forward(states, 1, 1);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < logits.elements(); ++i) {
      const double x = logits.data<float>()[i];
      sum += x;
      squares += x * x;
    }
    EXPECT_TRUE(std::isfinite(sum)) << preset;
    EXPECT_GT(squares, 0) << preset;
    EXPECT_EQ(states[0].length(), 151) << preset;
  }
}

TEST(Decode, StepsAreTimedAtEachPositionAndReadMoreLater) {
  Rig rig(tiny("sambay"), bf16);
  CeilingWatch ceilings(quick.ceilings);
  const auto speeds = measure_decode(rig, std::array<int64_t, 2>{64, 640}, 3, quick, ceilings);
  ASSERT_EQ(speeds.size(), 2U);
  for (const DecodeSpeed& speed : speeds) {
    EXPECT_EQ(speed.batch, 3);
    EXPECT_GE(speed.step.runs, 3);
    EXPECT_LE(speed.step.best, speed.step.median);
    EXPECT_GT(speed.step.best, 0);
  }
  EXPECT_EQ(speeds[0].cost.weight_bytes, speeds[1].cost.weight_bytes);
  // One layer looks at all keys: 576 tokens more of 2 heads x 8 x 2 bytes, keys and values.
  EXPECT_EQ(speeds[1].cost.state_bytes - speeds[0].cost.state_bytes, 3.0 * 576 * 64);
  EXPECT_GT(ceilings.best().read_bytes_per_second, 0);
}

TEST(Prefill, PeakMemoryIsTheDryRuns) {
  Rig rig(tiny("sambay"), bf16);
  CeilingWatch ceilings(quick.ceilings);
  const auto speed = measure_prefill(rig, 100, 32, quick, ceilings);
  EXPECT_EQ(speed.predicted_bytes, dry_generation(tiny("sambay"), bf16, 100, 32).peak_bytes);
  EXPECT_GE(speed.peak_bytes, speed.predicted_bytes);
  EXPECT_GT(speed.cost.matrix_flops, 0);
  EXPECT_GT(speed.flops_per_second(), 0);
}

TEST(Training, AStepIsTimedAndPriced) {
  CeilingWatch ceilings(quick.ceilings);
  const auto speed = measure_training(tiny("sambay"), bf16, 2, 16, quick, ceilings);
  EXPECT_EQ(speed.tokens, 32);
  EXPECT_GT(speed.step.best, 0);
  EXPECT_GT(speed.cost.matrix_flops, 0);
}

TEST(Throughput, BatchesGrowUntilTheMemoryIsFull) {
  ThroughputOptions options = {
      .prompt = 100, .generated = 400, .memory_bytes = 1 << 19, .chunk = 32, .perf = quick};
  const auto curve = measure_throughput(tiny("transformer"), bf16, options);
  ASSERT_GE(curve.points.size(), 2U);
  EXPECT_EQ(curve.points.front().batch, 1);
  EXPECT_EQ(curve.points.back().batch, curve.fitting_batch);
  for (const ThroughputPoint& point : curve.points) {
    EXPECT_GT(point.prompt_share, 0);
    EXPECT_LT(point.prompt_share, 1);
    EXPECT_NEAR(point.tokens_per_second * point.latency, static_cast<double>(point.batch) * 400,
                1e-6 * static_cast<double>(point.batch) * 400);
  }
  EXPECT_GT(measure_throughput(tiny("sambay"), bf16, options).fitting_batch, curve.fitting_batch);
  options.memory_bytes = 1000;
  EXPECT_THROW(measure_throughput(tiny("sambay"), bf16, options), Error);
}

}  // namespace
}  // namespace sambay
