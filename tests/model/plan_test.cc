#include "model/plan.h"

#include <gtest/gtest.h>

namespace sambay {
namespace {

Segments two_segments() {
  Segments segments;
  segments.add(5, 10);
  segments.add(3);
  return segments;
}

// A self-decoder of two layers with state, then a reader of the second's scan and one of its heads.
std::vector<LayerNeeds> sambay_like() {
  return {{true, {}, {}}, {true, {}, {"heads"}}, {false, {"scan"}, {}}, {false, {"heads"}, {}}};
}

TEST(Plan, NarrowsNothingWhenAllIsWanted) {
  const auto all = two_segments();
  const auto plan = plan_rows(sambay_like(), all, {5, 3});
  for (const auto& layer : plan.layers) {
    EXPECT_EQ(layer.input, all);
    EXPECT_EQ(layer.output, all);
  }
  EXPECT_EQ(plan.memories.at("scan"), all);
}

TEST(Plan, RunsLayersAfterTheLastStateForTheWantedRowsOnly) {
  const auto all = two_segments();
  const auto plan = plan_rows(sambay_like(), all, {1, 0});
  Segments last;
  last.add(1, 14);
  last.add(0, 3);
  EXPECT_EQ(plan.layers[0].output, all);
  EXPECT_EQ(plan.layers[1].input, all);
  EXPECT_EQ(plan.layers[1].output, last);
  EXPECT_EQ(plan.layers[2].input, last);
  EXPECT_EQ(plan.layers[3].output, last);
  EXPECT_EQ(plan.memories.at("scan"), last);
  EXPECT_EQ(plan.memories.at("heads"), last);
}

TEST(Plan, AsksALayerForTheRowsThatReadersOfItsMemoryWant) {
  // The reader keeps state, so it reads the memory at every row.
  const std::vector<LayerNeeds> layers = {{false, {}, {"up"}}, {false, {}, {}}, {true, {"up"}, {}}};
  const auto all = two_segments();
  const auto plan = plan_rows(layers, all, {1, 1});
  EXPECT_EQ(plan.layers[2].output.rows(), 2);
  EXPECT_EQ(plan.layers[0].output, all);
  EXPECT_EQ(plan.memories.at("up"), all);
}

TEST(Plan, KeepsStateOfSequencesThatNobodyAsks) {
  const auto all = two_segments();
  const auto plan = plan_rows(sambay_like(), all, {0, 0});
  EXPECT_EQ(plan.layers[0].input, all);
  EXPECT_EQ(plan.layers[1].input, all);
  EXPECT_EQ(plan.layers[1].output.rows(), 0);
}

}  // namespace
}  // namespace sambay
