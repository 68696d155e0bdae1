#include "train/loop.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "model/weights.h"
#include "train/checkpoint.h"
#include "train/run_fixture.h"

namespace sambay {
namespace {

using testing::RunFolder;
using testing::same_bits;

TrainOptions quietly(const std::filesystem::path& out, bool resume = false) {
  TrainOptions options;
  options.out = out;
  options.resume = resume;
  options.quiet = true;
  return options;
}

std::vector<NamedTensor> tensors_of(const std::filesystem::path& file) {
  const auto open = Safetensors::open(file);
  std::vector<NamedTensor> tensors;
  for (const auto& name : open.names()) {
    tensors.push_back({name, open.get(name)});
  }
  return tensors;
}

struct Stop {};

class TrainLoop : public ::testing::TestWithParam<const char*> {};

TEST_P(TrainLoop, ResumesBitForBitWhereAKilledRunStood) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"precision", GetParam()}, {"checkpoint_every", 1}});
  const TrainResult straight = train(recipe, quietly(folder / "straight"));
  EXPECT_TRUE(straight.finished);

  // Thrown after the step's metrics and before its checkpoint: the step is done again.
  TrainOptions dying = quietly(folder / "resumed");
  dying.on_step = [](const StepMetrics& metrics) {
    if (metrics.step == 4) {
      throw Stop();
    }
  };
  EXPECT_THROW(train(recipe, dying), Stop);
  const TrainResult resumed = train(recipe, quietly(folder / "resumed", true));
  EXPECT_EQ(resumed.loss, straight.loss);
  EXPECT_EQ(resumed.validation_loss, straight.validation_loss);
  EXPECT_EQ(read_curve(folder / "resumed", "loss"), read_curve(folder / "straight", "loss"));
  for (const char* file :
       {"checkpoints/step-000000000006/model.safetensors",
        "checkpoints/step-000000000006/optimizer.safetensors", "model/model.safetensors"}) {
    EXPECT_TRUE(
        same_bits(tensors_of(folder / "straight" / file), tensors_of(folder / "resumed" / file)))
        << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Precision, TrainLoop, ::testing::Values("f32", "bf16"),
                         [](const auto& test) { return std::string(test.param); });

TEST(TrainLoop, LeavesAModelThatLoads) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"precision", "bf16"}});
  train(recipe, quietly(folder / "run"));
  Arena arena;
  const Decoder decoder = load_model(folder / "run/model", recipe.precision, arena);
  EXPECT_EQ(decoder.config().to_json(), recipe.model.to_json());
}

TEST(TrainLoop, WillNotOverwriteARun) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"steps", 2}});
  train(recipe, quietly(folder / "run"));
  EXPECT_THROW(train(recipe, quietly(folder / "run")), Error);
}

TEST(TrainLoop, ANonFiniteLossStopsTheRunAndKeepsTheLastCheckpoint) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe(
      {{"optimizer", {{"learning_rate", 1}, {"clip", 0}, {"weight_decay", 1000}}}, {"steps", 60}});
  try {
    train(recipe, quietly(folder / "run"));
    FAIL() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("stopped; the last checkpoint is "));
  }
  const auto last = latest_checkpoint(folder / "run/checkpoints");
  ASSERT_TRUE(last);
  for (const auto& [name, tensor] : tensors_of(last->folder / "model.safetensors")) {
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      ASSERT_TRUE(std::isfinite(tensor.data<float>()[i])) << name;
    }
  }
}

TEST(TrainLoop, ASignalSavesAndReturns) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe({{"steps", 100000}, {"schedule", {{"warmup", 0}}}});
  TrainOptions options = quietly(folder / "run");
  options.on_step = [](const StepMetrics& metrics) {
    if (metrics.step == 3) {
      raise(SIGTERM);
    }
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // A stop cannot be taken back, so it is asked for in a process of its own.
  EXPECT_EXIT(
      {
        const TrainResult result = train(recipe, options);
        const auto last = latest_checkpoint(folder / "run/checkpoints");
        _exit(!result.finished && result.steps == 3 && last && last->state.step == 3 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sambay
