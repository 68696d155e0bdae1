#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/dry_run.h"
#include "perf/long_generation.h"
#include "perf/survey.h"
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

TEST(Prefill, ItsPieceByPieceCostIsTheDryRuns) {
  Rig rig(tiny("sambayda"), bf16);
  std::vector<SequenceState> state;
  state.push_back(rig.sequence(100));
  state[0].reset();
  std::vector<int64_t> pieces;
  const Cost cost = cost_of(
      [&] { rig.prefill(state, 100, 32, [&](int64_t tokens) { pieces.push_back(tokens); }); });
  const Cost dry = dry_generation(tiny("sambayda"), bf16, 100, 32).prefill;
  EXPECT_EQ(cost.matrix_flops, dry.matrix_flops);
  EXPECT_EQ(cost.weight_bytes, dry.weight_bytes);
  EXPECT_EQ(cost.state_bytes, dry.state_bytes);
  EXPECT_EQ(pieces, (std::vector<int64_t>{32, 32, 32, 4}));
}

TEST(Timing, RunsAreCountedAfterAWarmUpOfTheirOwn) {
  int warmed = 0, prepared = 0, runs = 0;
  const auto timing = time_runs(
      0, {.prepare = [&] { ++prepared; }, .run = [&] { ++runs; }, .warm_up = [&] { ++warmed; }});
  EXPECT_EQ(warmed, 1);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(prepared, 4);
  EXPECT_EQ(timing.runs, 3);
  EXPECT_EQ(time_runs(0, [&] { ++runs; }).runs, 3);
  EXPECT_EQ(runs, 7);
}

TEST(Timing, LongRunsAreRepeatedLessOften) {
  EXPECT_EQ(expected_runs(0, 1), 3);
  EXPECT_EQ(expected_runs(3, 0.5), 6);
  EXPECT_EQ(expected_runs(3, 25), 3);
  EXPECT_EQ(expected_runs(3, 40), 2);
  EXPECT_EQ(expected_runs(3, 300), 1);
  EXPECT_EQ(expected_runs(0, 0), 3);
}

TEST(Bounds, AreMemoryOrArithmeticWhicheverTakesLonger) {
  DecodeSpeed speed;
  speed.cost.weight_bytes = 60;
  speed.cost.state_bytes = 20;
  speed.cost.matrix_flops = 100;
  speed.step.median = 2;
  speed.step.ceiling_work = 100;  // 50 a second
  Bound bound = speed.bound(80);
  EXPECT_TRUE(bound.by_memory);
  EXPECT_DOUBLE_EQ(bound.rate, 40);
  EXPECT_DOUBLE_EQ(bound.ceiling, 50);
  EXPECT_DOUBLE_EQ(bound.share(), 0.8);
  bound = speed.bound(60);
  EXPECT_FALSE(bound.by_memory);
  EXPECT_DOUBLE_EQ(bound.rate, 50);
  EXPECT_DOUBLE_EQ(bound.ceiling, 60);
}

TEST(Survey, MeasuresEveryLengthPositionAndBatchAndTellsHowFarItIs) {
  Rig rig(tiny("sambay"), bf16);
  CeilingWatch ceilings(quick.ceilings);
  const SurveyOptions options = {
      .prompts = {40, 90}, .positions = {0, 300}, .batches = {1, 3}, .chunk = 32, .perf = quick};
  std::vector<double> shares;
  std::vector<std::string> whats;
  const auto survey =
      measure_survey(rig, options, ceilings, [&](double done, double all, const std::string& what) {
        shares.push_back(done / all);
        if (whats.empty() || whats.back() != what) {
          whats.push_back(what);
        }
      });
  EXPECT_GT(survey.first_token_seconds, 0);
  ASSERT_EQ(survey.prompts.size(), 2U);
  EXPECT_EQ(survey.prompts[1].tokens, 90);
  ASSERT_EQ(survey.steps.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(survey.steps[i].batch, i < 2 ? 1 : 3);
    EXPECT_EQ(survey.steps[i].position, i % 2 == 0 ? 0 : 300);
    EXPECT_GT(survey.steps[i].step.best, 0);
  }
  EXPECT_EQ(whats, (std::vector<std::string>{"prompt of 40", "prompt of 90", "decoding, batch 1",
                                             "decoding, batch 3"}));
  EXPECT_EQ(shares.front(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_LE(shares.back(), 1);
}

TEST(Survey, LeavesOutWhatIsNotAskedFor) {
  Rig rig(tiny("sambay"), bf16);
  CeilingWatch ceilings(quick.ceilings);
  const auto survey = measure_survey(
      rig, {.prompts = {}, .positions = {}, .batches = {1}, .chunk = 32, .perf = quick}, ceilings);
  EXPECT_TRUE(survey.prompts.empty());
  EXPECT_TRUE(survey.steps.empty());
}

TEST(LongGeneration, WindowsCoverTheTokensAndReadMoreAsTheCacheGrows) {
  Rig rig(tiny("sambay"), bf16);
  int64_t heard = 0;
  const auto windows =
      measure_long_generation(rig, 601, 3, quick, [&](int64_t done) { heard = done; });
  EXPECT_EQ(heard, 601);
  ASSERT_EQ(windows.size(), 3U);
  int64_t at = 0;
  double bytes = 0;
  for (const GenerationWindow& window : windows) {
    EXPECT_EQ(window.begin, at);
    EXPECT_GT(window.seconds, 0);
    EXPECT_GT(window.memory_seconds, 0);
    EXPECT_GT(window.bytes_per_token(), bytes);
    EXPECT_EQ(window.state_bytes,
              state_bytes(rig.decoder().state_spec(rig.precision()), window.end));
    at = window.end;
    bytes = window.bytes_per_token();
  }
  EXPECT_EQ(at, 601);
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
      .prompt = 100, .generated = 400, .memory_bytes = 1 << 20, .chunk = 32, .perf = quick};
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
