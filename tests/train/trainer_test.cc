#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/threads.h"
#include "train/memory.h"
#include "train/run_fixture.h"

namespace sambay {
namespace {

using testing::loader_of;
using testing::next_step;
using testing::RunFolder;

std::vector<double> losses_of(Trainer& trainer, BatchLoader& loader, const Recipe& recipe) {
  std::vector<double> losses;
  for (int64_t step = 0; step < recipe.steps; ++step) {
    losses.push_back(trainer.step(next_step(loader, recipe)).loss);
  }
  return losses;
}

std::vector<double> losses_of(const Recipe& recipe) {
  Arena arena;
  Trainer trainer(recipe, arena);
  BatchLoader loader = loader_of(recipe);
  return losses_of(trainer, loader, recipe);
}

TEST(Trainer, LearnsAPattern) {
  const RunFolder folder;
  for (const char* precision : {"f32", "bf16"}) {
    const auto losses = losses_of(folder.recipe({{"steps", 150}, {"precision", precision}}));
    // Uniform guessing costs ln 64 = 4.16 nats; the pattern's own uncertainty is far below 1.
    EXPECT_NEAR(losses.front(), std::log(64), 0.1) << precision;
    EXPECT_LT(losses.back(), 1.0) << precision;
  }
}

TEST(Trainer, SameSeedSameBitsWhateverTheThreads) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"precision", "bf16"}});
  const int before = num_threads();
  const auto expected = losses_of(recipe);
  EXPECT_EQ(losses_of(recipe), expected);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(losses_of(recipe), expected) << threads << " threads";
  }
  set_num_threads(before);
  EXPECT_NE(losses_of(folder.recipe({{"precision", "bf16"}, {"seed", 4}})), expected);
}

TEST(Trainer, RecomputedLayersGiveTheSameBits) {
  const RunFolder folder;
  EXPECT_EQ(losses_of(folder.recipe({{"recompute_layers", true}})), losses_of(folder.recipe()));
}

TEST(Trainer, MicroBatchesAddUpToOneBatch) {
  const RunFolder folder;
  const auto split = losses_of(folder.recipe({{"data", {{"rows", 1}}}}));
  const auto whole = losses_of(folder.recipe({{"data", {{"rows", 4}}}}));
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(split[i], whole[i], 1e-4 * whole[i]);
  }
}

TEST(Trainer, SmoothedLossIsTheMixtureOfTheDefinition) {
  const RunFolder folder;
  const auto first = [&](float smoothing) {
    const Recipe recipe = folder.recipe(
        {{"label_smoothing", smoothing}, {"steps", 1}, {"schedule", {{"warmup", 0}}}});
    return losses_of(recipe).front();
  };
  // The loss is affine in the smoothing.
  EXPECT_NEAR(first(0.2F), 0.5 * (first(0) + first(0.4F)), 1e-5);
  // The head starts at zero in muP++, and uniform logits cost ln V under any smoothing.
  EXPECT_NEAR(first(0.4F), std::log(64), 1e-5);
}

TEST(Trainer, ValidationIsTheLossWithoutSmoothing) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"optimizer", {{"learning_rate", 0}}}});
  Arena arena;
  Trainer trainer(recipe, arena);
  BatchLoader loader = loader_of(recipe);
  const auto batches = next_step(loader, recipe);
  const double before = trainer.validate(batches);
  EXPECT_NEAR(trainer.step(batches).loss, before, 1e-6 * before);
  EXPECT_EQ(trainer.validate(batches), before);
}

TEST(Trainer, NanInTheWeightsIsReportedAndChangesNothing) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe();
  Arena arena;
  Trainer trainer(recipe, arena);
  BatchLoader loader = loader_of(recipe);
  trainer.decoder()
      .params()
      .find("transformer.h.0.attn.in_proj.weight")
      ->weight.value.data<float>()[5] = NAN;
  const auto report = trainer.step(next_step(loader, recipe));
  EXPECT_FALSE(std::isfinite(report.loss) && std::isfinite(report.gradient_norm));
  EXPECT_EQ(trainer.steps_done(), 0);
}

TEST(Trainer, SteadyStateKeepsItsMemory) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"precision", "bf16"}});
  Arena arena;
  Trainer trainer(recipe, arena);
  BatchLoader loader = loader_of(recipe);
  const size_t held = arena.bytes_in_use();
  losses_of(trainer, loader, recipe);
  EXPECT_EQ(arena.bytes_in_use(), held);
}

TEST(TrainingForecast, IsThePeakOfTheFirstStepAndNearThatOfAll) {
  const RunFolder folder;
  for (const char* precision : {"f32", "bf16"}) {
    for (const bool recompute : {false, true}) {
      const Recipe recipe =
          folder.recipe({{"precision", precision}, {"recompute_layers", recompute}});
      Arena arena;
      Trainer trainer(recipe, arena);
      BatchLoader loader = loader_of(recipe);
      const TrainingForecast forecast = forecast_training(recipe);
      const auto first = next_step(loader, recipe);
      trainer.step(first);
      if (!recipe.data.validation.empty()) {
        trainer.validate({first.data(), 1});
      }
      EXPECT_EQ(forecast.peak, arena.peak_bytes()) << precision << recompute;
      losses_of(trainer, loader, recipe);
      const auto real = static_cast<double>(arena.peak_bytes());
      EXPECT_NEAR(static_cast<double>(forecast.peak), real, 0.1 * real) << precision << recompute;
      EXPECT_EQ(forecast.gradients, forecast.masters);
      EXPECT_EQ(forecast.moments, 2 * forecast.masters);
    }
  }
}

}  // namespace
}  // namespace sambay
