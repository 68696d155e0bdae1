#include "ops/cross_entropy.h"

#include "ops/op_test_util.h"

#include "support/fault.h"

namespace sambay::ops::testing {
namespace {

using sambay::testing::fault;

std::vector<int32_t> random_targets(Random& random, int64_t rows, int64_t vocabulary) {
  std::vector<int32_t> out;
  for (int64_t t = 0; t < rows; ++t) {
    out.push_back(t % 4 == 3 ? ignored_target
                             : static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary)));
  }
  return out;
}

struct Case {
  int64_t T, D, V, vocabulary;
  float smoothing;
};
constexpr Case cases[] = {
    {1, 8, 3, 3, 0.0F}, {9, 24, 70, 61, 0.1F}, {300, 16, 33, 33, 0.0F}, {3, 5, 3001, 2990, 0.05F}};

TEST(LinearCrossEntropy, LossAndGradientsMatchTheReferenceAtEveryLevel) {
  Random random(1);
  for (const Case& c : cases) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Tensor hidden = with_strided_rows(random_tensor(random, {c.T, c.D}, dtype, -2, 2));
      const Tensor weight = random_tensor(random, {c.V, c.D}, dtype);
      const auto targets = random_targets(random, c.T, c.vocabulary);
      const CrossEntropyOptions options = {c.smoothing, 0.125F};
      const auto exact = [](const Tensor& t) { return converted(t, DType::f64); };
      const Tensor d_hidden = Tensor::empty({c.T, c.D}, DType::f64);
      const Tensor d_weight = Tensor::zeros({c.V, c.D}, DType::f64);
      const CrossEntropySums want = linear_cross_entropy(exact(hidden), exact(weight), targets,
                                                         c.vocabulary, options, d_hidden, d_weight);
      for_each_isa([&](const std::string& level) {
        const Tensor got_hidden = with_strided_rows(Tensor::zeros({c.T, c.D}, dtype));
        const Tensor got_weight = Tensor::zeros({c.V, c.D}, DType::f32);
        const CrossEntropySums got = linear_cross_entropy(hidden, weight, targets, c.vocabulary,
                                                          options, got_hidden, got_weight);
        // A logit of D products errs by at most D roundings of its size.
        const double roundings = 40;
        EXPECT_EQ(got.counted, want.counted) << level;
        EXPECT_NEAR(got.loss, want.loss, want.loss * tolerance(DType::f32, roundings)) << level;
        EXPECT_NEAR(got.nll, want.nll, want.nll * tolerance(DType::f32, roundings)) << level;
        // The gradient by the logits is rounded to the inputs' dtype before the products.
        const double bound = tolerance(dtype, roundings);
        expect_close(got_hidden, d_hidden, 2 * bound, level + " d_hidden");
        expect_close(got_weight, d_weight, bound, level + " d_weight");
        const CrossEntropySums alone =
            linear_cross_entropy(hidden, weight, targets, c.vocabulary, options);
        EXPECT_EQ(alone.loss, got.loss) << level;
      });
    }
  }
}

TEST(LinearCrossEntropy, ReferenceGradientIsTheFiniteDifference) {
  Random random(2);
  const Tensor hidden = random_tensor(random, {5, 4}, DType::f64);
  const Tensor weight = random_tensor(random, {7, 4}, DType::f64);
  const auto targets = random_targets(random, 5, 6);
  const CrossEntropyOptions options = {0.1F, 0.5F};
  const Tensor d_hidden = hidden.clone(), d_weight = Tensor::zeros({7, 4}, DType::f64);
  const auto loss = [&] {
    return 0.5 * linear_cross_entropy(hidden, weight, targets, 6, options).loss;
  };
  linear_cross_entropy(hidden, weight, targets, 6, options, d_hidden, d_weight);
  expect_gradient(loss, hidden, d_hidden, "hidden");
  expect_gradient(loss, weight, d_weight, "weight");
}

TEST(LinearCrossEntropy, UniformLogitsCostTheLogarithmOfTheVocabulary) {
  const Tensor hidden = Tensor::zeros({2, 3}, DType::f32);
  const Tensor weight = Tensor::zeros({100, 3}, DType::f32);
  const std::vector<int32_t> targets = {5, ignored_target};
  for_each_isa([&](const std::string& level) {
    const auto sums = linear_cross_entropy(hidden, weight, targets, 90, {});
    EXPECT_NEAR(sums.nll, std::log(90.0), 1e-6) << level;
    EXPECT_EQ(sums.counted, 1) << level;
  });
}

TEST(LinearCrossEntropy, NamesTheFirstTargetOutsideTheVocabulary) {
  const Tensor hidden = Tensor::zeros({2, 3}, DType::f32);
  const Tensor weight = Tensor::zeros({9, 3}, DType::f32);
  const std::vector<int32_t> targets = {7, 8};
  EXPECT_EQ(fault([&] { linear_cross_entropy(hidden, weight, targets, 8, {}); }),
            "[linear_cross_entropy] targets[1]: expected less than 8, got 8");
}

TEST(TargetLogProbs, MatchTheReferenceAndSurviveLargeLogits) {
  Random random(3);
  for (const int64_t V : {1, 5, 37, 5003}) {
    const Tensor logits = with_strided_rows(random_tensor(random, {6, V}, DType::f32, 900, 1000));
    const auto targets = random_targets(random, 6, V);
    std::vector<double> want(6), got(6);
    target_log_probs(converted(logits, DType::f64), targets, want);
    EXPECT_EQ(want[3], 0);
    for_each_isa([&](const std::string& level) {
      target_log_probs(logits, targets, got);
      for (size_t t = 0; t < got.size(); ++t) {
        EXPECT_NEAR(got[t], want[t], 100 * 4 * unit_roundoff(DType::f32)) << level;
      }
    });
  }
}

}  // namespace
}  // namespace sambay::ops::testing
