#include "ops/adamw.h"

#include <gmock/gmock.h>

#include "base/threads.h"
#include "ops/op_test_util.h"
#include "support/fault.h"

namespace sambay::ops::testing {
namespace {

using sambay::testing::fault;

struct Problem {
  AdamwTensors f32, f64;
};

Problem random_problem(int64_t count, DType compute) {
  Random random(7);
  const auto tensor = [&](double low, double high) {
    return random_tensor(random, {count}, DType::f32, low, high);
  };
  Problem p;
  p.f32 = {tensor(-1, 1), tensor(-0.1, 0.1), tensor(-0.1, 0.1), tensor(0, 0.01),
           Tensor::empty({count}, compute)};
  p.f64 = {converted(p.f32.master, DType::f64),
           converted(p.f32.gradient, DType::f64),
           converted(p.f32.m, DType::f64),
           converted(p.f32.v, DType::f64),
           {}};
  return p;
}

const AdamwOptions options = {.learning_rate = 1e-2,
                              .decay = 1e-3,
                              .beta1 = 0.9,
                              .beta2 = 0.95,
                              .epsilon = 1e-8,
                              .gradient_scale = 0.5,
                              .step = 3};

TEST(Adamw, ReferenceIsTheFormulaOnOneElement) {
  const std::vector<double> p = {2}, g = {0.4}, m = {0.1}, v = {0.3};
  const AdamwTensors t = {Tensor::from<double>(p, {1}),
                          Tensor::from<double>(g, {1}),
                          Tensor::from<double>(m, {1}),
                          Tensor::from<double>(v, {1}),
                          {}};
  adamw(t, options);
  const double m1 = 0.9 * 0.1 + 0.1 * 0.2, v1 = 0.95 * 0.3 + 0.05 * 0.2 * 0.2;
  const double m_hat = m1 / (1 - 0.9 * 0.9 * 0.9), v_hat = v1 / (1 - 0.95 * 0.95 * 0.95);
  EXPECT_DOUBLE_EQ(t.m.data<double>()[0], m1);
  EXPECT_DOUBLE_EQ(t.v.data<double>()[0], v1);
  EXPECT_DOUBLE_EQ(t.master.data<double>()[0],
                   2 - 1e-3 * 2 - 1e-2 * m_hat / (std::sqrt(v_hat) + 1e-8));
  EXPECT_EQ(t.gradient.data<double>()[0], 0);
}

TEST(Adamw, EveryInstructionSetEqualsTheReferenceInDouble) {
  for_each_isa([](const std::string& level) {
    for (const DType compute : {DType::f32, DType::bf16}) {
      for (const int64_t count : {1, 15, 16, 17, 1000, 40'001}) {
        const Problem p = random_problem(count, compute);
        adamw(p.f64, options);
        adamw(p.f32, options);
        const std::string what = level + " count " + std::to_string(count);
        expect_close(p.f32.m, p.f64.m, tolerance(DType::f32, 3), what + " m");
        expect_close(p.f32.v, p.f64.v, tolerance(DType::f32, 3), what + " v");
        expect_close(p.f32.master, p.f64.master, tolerance(DType::f32, 3), what + " master");
        expect_close(p.f32.compute, p.f64.master, tolerance(compute, 3), what + " compute");
        expect_close(p.f32.compute, p.f32.master, unit_roundoff(compute), what + " copy");
        EXPECT_THAT(values_of(p.f32.gradient), ::testing::Each(0.0)) << what;
      }
    }
  });
}

TEST(Adamw, BitsDoNotDependOnTheNumberOfThreads) {
  const int before = num_threads();
  std::vector<std::vector<double>> results;
  std::vector<double> sums;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const Problem p = random_problem(200'003, DType::bf16);
    sums.push_back(sum_of_squares(p.f32.gradient));
    adamw(p.f32, options);
    results.push_back(values_of(p.f32.master));
  }
  set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

TEST(Adamw, NamesTheTensorThatDoesNotFit) {
  AdamwTensors t = random_problem(8, DType::f32).f32;
  t.v = Tensor::zeros({7}, DType::f32);
  EXPECT_EQ(fault([&] { adamw(t, options); }), "[adamw] v: expected (8), got (7)");
}

TEST(SumOfSquares, EqualsTheSumInDouble) {
  for_each_isa([](const std::string& level) {
    for (const int64_t count : {1, 31, 1025, 70'001}) {
      Random random(3);
      const Tensor x = random_tensor(random, {count}, DType::f32);
      double expected = 0;
      for (const double value : values_of(x)) {
        expected += value * value;
      }
      // Each lane of a piece adds at most 1024 / 4 squares of one sign.
      EXPECT_NEAR(sum_of_squares(x), expected, 256 * unit_roundoff(DType::f32) * expected) << level;
    }
  });
}

TEST(SumOfSquares, OfWhatIsNotFiniteIsNotFinite) {
  for_each_isa([](const std::string& level) {
    Random random(3);
    const Tensor x = random_tensor(random, {5000}, DType::f32);
    x.data<float>()[4321] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite(sum_of_squares(x))) << level;
    x.data<float>()[4321] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(sum_of_squares(x))) << level;
  });
}

}  // namespace
}  // namespace sambay::ops::testing
