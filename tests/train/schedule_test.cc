#include "train/schedule.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sambay {
namespace {

Schedule schedule(Decay kind) {
  return {.kind = kind, .warmup = 100, .decay = 200, .total = 1000, .floor = 0.1};
}

TEST(Schedule, EveryKindWarmsUpLinearlyFromZero) {
  for (const Decay kind : {Decay::constant, Decay::linear, Decay::cosine, Decay::wsd}) {
    EXPECT_EQ(schedule(kind).multiplier(0), 0) << name(kind);
    EXPECT_DOUBLE_EQ(schedule(kind).multiplier(25), 0.25) << name(kind);
    EXPECT_EQ(schedule(kind).multiplier(100), 1) << name(kind);
  }
}

TEST(Schedule, LinearFallsToItsFloorAtTheEnd) {
  EXPECT_DOUBLE_EQ(schedule(Decay::linear).multiplier(550), 0.55);
  EXPECT_DOUBLE_EQ(schedule(Decay::linear).multiplier(1000), 0.1);
  EXPECT_DOUBLE_EQ(schedule(Decay::linear).multiplier(2000), 0.1);
}

TEST(Schedule, CosineIsHalfwayInTheMiddle) {
  EXPECT_DOUBLE_EQ(schedule(Decay::cosine).multiplier(550), 0.55);
  EXPECT_NEAR(schedule(Decay::cosine).multiplier(325), 0.1 + 0.9 * 0.85355339059327378, 1e-15);
  EXPECT_DOUBLE_EQ(schedule(Decay::cosine).multiplier(1000), 0.1);
}

TEST(Schedule, WsdStaysAtItsPeakUntilTheDecay) {
  EXPECT_EQ(schedule(Decay::wsd).multiplier(800), 1);
  EXPECT_DOUBLE_EQ(schedule(Decay::wsd).multiplier(900), 0.55);
  EXPECT_DOUBLE_EQ(schedule(Decay::wsd).multiplier(1000), 0.1);
}

TEST(Schedule, ConstantNeverFalls) {
  EXPECT_EQ(schedule(Decay::constant).multiplier(1000), 1);
}

TEST(Schedule, NamesTheKindsWhenOneIsUnknown) {
  EXPECT_EQ(parse_decay("wsd", "r.json: decay"), Decay::wsd);
  try {
    parse_decay("step", "r.json: decay");
    FAIL() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[r.json: decay] \"step\": expected constant, linear, cosine or wsd");
  }
}

}  // namespace
}  // namespace sambay
