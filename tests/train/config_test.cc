#include "train/config.h"

#include <gtest/gtest.h>

#include "train/run_fixture.h"

namespace sambay {
namespace {

using nlohmann::json;

// The message of the Error that a patched recipe throws.
std::string error_of(const json& patch) {
  json recipe = testing::tiny_recipe_json();
  recipe.merge_patch(patch);
  try {
    Recipe::from_json(recipe, "", "r.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Recipe, ReadsEveryField) {
  const Recipe r = Recipe::from_json(testing::tiny_recipe_json(), "somewhere", "r.json");
  EXPECT_EQ(r.model.layers.size(), 4U);
  EXPECT_EQ(r.data.sources.at(0).shard, "somewhere/train.safetensors");
  EXPECT_TRUE(r.tokenizer.empty());
  EXPECT_EQ(r.micro_batches(), 2);
  EXPECT_EQ(r.steps, 6);
  EXPECT_EQ(r.schedule.total, 6 * 96);
  EXPECT_EQ(r.schedule.warmup, 2 * 96);
  EXPECT_EQ(r.precision, (Precision{DType::f32, DType::f32}));
  EXPECT_EQ(r.scaling().depth, 4);
  EXPECT_EQ(r.optimizer.beta2, 0.95);
}

TEST(Recipe, EveryFieldIsRequired) {
  const json recipe = testing::tiny_recipe_json();
  for (const auto& [key, value] : recipe.items()) {
    EXPECT_EQ(error_of({{key, nullptr}}).find("[r.json"), 0U) << key;
  }
  for (const char* part : {"data", "optimizer", "schedule"}) {
    for (const auto& [key, value] : recipe[part].items()) {
      const std::string message = error_of({{part, {{key, nullptr}}}});
      EXPECT_EQ(message, fmt::format("[r.json: {}] {}: missing", part, key));
    }
  }
}

TEST(Recipe, NamesUnknownAndUnfittingFields) {
  EXPECT_EQ(error_of({{"lr", 1}}), "[r.json] lr: unknown field");
  EXPECT_EQ(error_of({{"data", {{"shuffle", true}}}}), "[r.json: data] shuffle: unknown field");
  EXPECT_EQ(error_of({{"batch_tokens", 100}}),
            "[r.json] batch_tokens: 100 is not a multiple of rows * row_length = 48");
  EXPECT_EQ(error_of({{"tokens", 100}}), "[r.json] steps: expected either steps or tokens");
  EXPECT_EQ(error_of({{"precision", "f16"}}), "[r.json] precision: \"f16\": expected bf16 or f32");
  EXPECT_EQ(error_of({{"optimizer", {{"betas", {0.9, 1}}}}}),
            "[r.json: optimizer] betas: 1 is not in [0, 1)");
  EXPECT_EQ(error_of({{"schedule", {{"warmup", 7}}}}),
            "[r.json: schedule] warmup: 672 tokens of warm-up and decay in a run of 576");
}

TEST(Recipe, TokensAreRoundedUpToWholeSteps) {
  json recipe = testing::tiny_recipe_json();
  recipe.erase("steps");
  recipe["tokens"] = 1000;
  EXPECT_EQ(Recipe::from_json(recipe, "", "r.json").steps, 11);
}

}  // namespace
}  // namespace sambay
