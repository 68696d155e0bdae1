#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace sambay {
namespace {

std::vector<float> random_logits(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> logits(count);
  for (float& logit : logits) {
    logit = static_cast<float>(2 * rng.normal());
  }
  return logits;
}

std::vector<double> softmax(const std::vector<double>& logits) {
  const double best = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double total = 0;
  for (const double logit : logits) {
    total += p.emplace_back(std::exp(logit - best));
  }
  for (double& x : p) {
    x /= total;
  }
  return p;
}

// The definition: every step on the full distribution, renormalised.
std::vector<double> distribution(const std::vector<float>& logits, const SamplingOptions& o,
                                 const std::vector<int32_t>& occurred) {
  std::vector<double> z(logits.begin(), logits.end());
  for (size_t i = 0; i < z.size(); ++i) {
    if (std::count(occurred.begin(), occurred.end(), static_cast<int32_t>(i)) > 0) {
      z[i] = z[i] > 0 ? z[i] / o.repetition_penalty : z[i] * o.repetition_penalty;
    }
    z[i] /= o.temperature;
  }
  std::vector<size_t> order(z.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return z[a] > z[b]; });
  constexpr double none = -std::numeric_limits<double>::infinity();
  for (size_t rank = 0; o.top_k > 0 && rank < order.size(); ++rank) {
    z[order[rank]] = rank < static_cast<size_t>(o.top_k) ? z[order[rank]] : none;
  }
  auto p = softmax(z);
  double reached = 0;
  for (const size_t i : order) {
    z[i] = reached < o.top_p ? z[i] : none;
    reached += p[i];
  }
  p = softmax(z);
  for (size_t i = 0; i < z.size(); ++i) {
    z[i] = p[i] >= o.min_p * p[order[0]] ? z[i] : none;
  }
  return softmax(z);
}

// Chi-squared of draws against the definition, over the tokens that are expected often enough;
// tokens of probability zero must not occur.
void expect_distribution(const SamplingOptions& base, const std::vector<int32_t>& occurred = {}) {
  const auto logits = random_logits(300, 5);
  const auto p = distribution(logits, base, occurred);
  constexpr int draws = 4000;
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) {
    SamplingOptions options = base;
    options.seed = static_cast<uint64_t>(i);
    Sampler sampler(options);
    sampler.accept(occurred);
    ++counts[static_cast<size_t>(sampler.next(logits).id)];
  }
  double chi = 0;
  int cells = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * draws;
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " was cut";
    } else if (expected >= 5) {
      chi += (counts[i] - expected) * (counts[i] - expected) / expected;
      ++cells;
    }
  }
  ASSERT_GT(cells, 1);
  // Five standard deviations of a chi-squared of so many degrees of freedom.
  EXPECT_LT(chi, cells + 5 * std::sqrt(2.0 * cells));
}

TEST(Sampler, TemperatureDrawsFromTheSoftmax) {
  expect_distribution({.temperature = 1.3F});
}
TEST(Sampler, TopKDrawsFromTheBest) {
  expect_distribution({.temperature = 1, .top_k = 7});
}
TEST(Sampler, TopPDrawsFromTheFewestThatReachIt) {
  expect_distribution({.temperature = 1.5F, .top_p = 0.8F});
}
TEST(Sampler, MinPCutsRelativeToTheBest) {
  expect_distribution({.temperature = 1, .min_p = 0.2F});
}
TEST(Sampler, AllStepsGoInOrder) {
  expect_distribution(
      {.temperature = 0.9F, .top_k = 40, .top_p = 0.9F, .min_p = 0.03F, .repetition_penalty = 1.4F},
      {1, 2, 3, 50, 120});
}

TEST(Sampler, GreedyTakesTheSmallestOfTheBest) {
  const std::vector<float> logits = {0, 3, 1, 3};
  EXPECT_EQ(Sampler({}).next(logits).id, 1);
  EXPECT_EQ(Sampler({.repetition_penalty = 1.0001F}).next(logits).id, 1);
}

TEST(Sampler, ThePenaltyTurnsGreedyAwayFromWhatOccurred) {
  const std::vector<float> logits = {1, 3, 2.9F, -1};
  Sampler sampler({.repetition_penalty = 2});
  EXPECT_EQ(sampler.next(logits).id, 1);
  EXPECT_EQ(sampler.next(logits).id, 2);
  EXPECT_EQ(sampler.next(logits).id, 1);  // 1.5 against 1.45
}

TEST(Sampler, TheSeedDecides) {
  const auto logits = random_logits(500, 2);
  const auto run = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) {
      ids.push_back(sampler.next(logits).id);
    }
    return ids;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(Sampler, LogProbabilitiesAreTheModelsOwn) {
  const auto logits = random_logits(200, 9);
  const auto p = softmax({logits.begin(), logits.end()});
  const auto token = Sampler({.temperature = 0.5F, .top_k = 3, .log_probs = 5}).next(logits);
  constexpr double rounding = 1e-12;
  EXPECT_NEAR(token.log_prob, std::log(p[static_cast<size_t>(token.id)]), rounding);
  ASSERT_EQ(token.top.size(), 5U);
  auto sorted = p;
  std::sort(sorted.rbegin(), sorted.rend());
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(token.top[i].log_prob, std::log(sorted[i]), rounding);
    EXPECT_EQ(p[static_cast<size_t>(token.top[i].id)], sorted[i]);
  }
}

TEST(Sampler, TinyTemperaturesDoNotOverflow) {
  EXPECT_EQ(Sampler({.temperature = 1e-30F}).next(std::vector<float>{1, 2, 1.5F}).id, 1);
}

TEST(Sampler, BadOptionsAndLogitsAreErrors) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
  EXPECT_THROW(Sampler({.top_p = 0}), Error);
  EXPECT_THROW(Sampler({.min_p = 2}), Error);
  EXPECT_THROW(Sampler({.repetition_penalty = 0}), Error);
  EXPECT_THROW(Sampler({}).next(std::vector<float>{1, NAN}), Error);
}

}  // namespace
}  // namespace sambay
