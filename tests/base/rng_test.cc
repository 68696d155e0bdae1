#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace sambay {
namespace {

// The published known answers of Philox4x32-10.
TEST(Rng, PhiloxGivesThePublishedAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, ARestoredStateGoesOnWithTheSameNumbers) {
  for (int drawn = 0; drawn < 5; ++drawn) {
    Rng rng(7, 3);
    for (int i = 0; i < drawn; ++i) {
      rng.next_u64();
    }
    Rng restored(rng.state());
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(rng.next_u64(), restored.next_u64());
    }
    EXPECT_EQ(rng.state(), restored.state());
  }
}

TEST(Rng, SeedsStreamsAndNamesDiffer) {
  std::set<uint64_t> first;
  for (uint64_t i = 0; i < 100; ++i) {
    first.insert(Rng(i, 0).next_u64());
    first.insert(Rng(0, i + 1).next_u64());
    first.insert(Rng(0, "layer." + std::to_string(i)).next_u64());
  }
  EXPECT_EQ(first.size(), 300U);
}

TEST(Rng, UniformsFillTheUnitInterval) {
  Rng rng(1);
  constexpr int draws = 100'000;
  double sum = 0, squares = 0, float_sum = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = rng.uniform();
    const float y = rng.uniform_float();
    ASSERT_TRUE(x >= 0 && x < 1 && y >= 0 && y < 1);
    sum += x;
    squares += x * x;
    float_sum += y;
  }
  const double five_sigma = 5 * std::sqrt(1.0 / 12 / draws);
  EXPECT_NEAR(sum / draws, 0.5, five_sigma);
  EXPECT_NEAR(float_sum / draws, 0.5, five_sigma);
  EXPECT_NEAR(squares / draws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / draws));
}

TEST(Rng, BelowIsUniform) {
  Rng rng(2);
  constexpr int draws = 70'000;
  for (const uint64_t n : {1U, 2U, 7U, 10U}) {
    std::vector<int> counts(n);
    for (int i = 0; i < draws; ++i) {
      counts.at(rng.below(n))++;
    }
    for (const int count : counts) {
      const double p = 1.0 / static_cast<double>(n);
      EXPECT_NEAR(count, draws * p, 5 * std::sqrt(draws * p * (1 - p)));
    }
  }
  // Where a multiply without rejection would be off by a third.
  const uint64_t n = (uint64_t{3} << 62) + 1;
  int low = 0;
  for (int i = 0; i < draws; ++i) {
    const uint64_t x = rng.below(n);
    ASSERT_LT(x, n);
    low += x < n / 2 ? 1 : 0;
  }
  EXPECT_NEAR(low, draws / 2.0, 5 * std::sqrt(draws / 4.0));
}

TEST(Rng, NormalsHaveTheMomentsOfANormal) {
  Rng rng(3);
  constexpr int draws = 200'000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = rng.normal();
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
  }
  // Variances of the moments: 1, 2, 15, 96.
  EXPECT_NEAR(m1 / draws, 0, 5 * std::sqrt(1.0 / draws));
  EXPECT_NEAR(m2 / draws, 1, 5 * std::sqrt(2.0 / draws));
  EXPECT_NEAR(m3 / draws, 0, 5 * std::sqrt(15.0 / draws));
  EXPECT_NEAR(m4 / draws, 3, 5 * std::sqrt(96.0 / draws));
}

// The bits are part of the checkpoint format: a change here changes every seeded run.
TEST(Rng, TheBitsStayWhatTheyWere) {
  Rng rng(42, "transformer.wte.weight");
  const double normals[] = {rng.normal(), rng.normal(), rng.normal()};
  const double expected[] = {-0x1.3bf047983a513p-1, 0x1.edd7eedcd8a94p-8, -0x1.07deb58d0b722p-2};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(normals[i], expected[i]) << std::hexfloat << normals[i];
  }
}

}  // namespace
}  // namespace sambay
