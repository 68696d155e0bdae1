#include "ops/cpu/select.h"
#include "ops/op_test_util.h"
#include "ops/vec_probe.h"

namespace sambay::ops {
SAMBAY_KERNELS(VecProbe, vec_probe);

namespace testing {
namespace {

void for_each_probe(const std::function<void(const VecProbe&)>& body) {
  for (const Isa level : available_isas()) {
    if (level != Isa::reference) {
      const ScopedIsa scope(level);
      SCOPED_TRACE(name(level));
      body(vec_probe());
    }
  }
}

// The error in units of the last place of the true value; never finer than the smallest denormal.
double ulps(float got, double expected) {
  int exponent = 0;
  std::frexp(expected, &exponent);
  return std::abs(got - expected) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

void expect_ulps(VecProbe::Map map, double (*truth)(double), double low, double high,
                 double bound) {
  constexpr int count = 20'011;
  std::vector<float> x(count), out(count);
  Random random(7);
  std::uniform_real_distribution<double> distribution(low, high);
  for (float& value : x) {
    value = static_cast<float>(distribution(random));
  }
  map(x.data(), out.data(), count);
  double worst = 0;
  float worst_at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = ulps(out[i], truth(x[i]));
    if (!(error <= worst)) {
      worst = error;
      worst_at = x[i];
    }
  }
  EXPECT_LE(worst, bound) << "at " << worst_at;
}

TEST(Vec, FunctionsAreWithinTheirUlps) {
  for_each_probe([](const VecProbe& probe) {
    expect_ulps(
        probe.exp, [](double x) { return std::exp(x); }, -86, 88.7, 2);
    expect_ulps(
        probe.exp, [](double x) { return std::exp(x); }, -1, 1, 2);
    expect_ulps(
        probe.exp, [](double x) { return std::exp(x); }, -104, -86, 2);
    expect_ulps(
        probe.exp2_fraction, [](double x) { return std::exp2(x); }, -0.5, 0.5, 1.5);
    expect_ulps(
        probe.log, [](double x) { return std::log(x); }, 1e-30, 4, 2);
    expect_ulps(
        probe.log, [](double x) { return std::log(x); }, 4, 1e30, 2);
    expect_ulps(
        probe.log1p, [](double x) { return std::log1p(x); }, 0, 1, 3);
    expect_ulps(
        probe.log1p, [](double x) { return std::log1p(x); }, 0, 1e-4, 3);
    expect_ulps(
        probe.log1p, [](double x) { return std::log1p(x); }, 1, 1000, 3);
    expect_ulps(
        probe.softplus, [](double x) { return std::log1p(std::exp(x)); }, -80, 20, 4);
    expect_ulps(
        probe.softplus, [](double x) { return std::log1p(std::exp(x)); }, -2, 2, 4);
    expect_ulps(
        probe.sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 30, 4);
  });
}

TEST(Vec, ExpKeepsTheSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {infinity, -infinity, std::nanf(""), 0.0F, 89.0F, -200.0F, 1000.0F};
  for_each_probe([&](const VecProbe& probe) {
    std::vector<float> out(x.size());
    probe.exp(x.data(), out.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(out[0], infinity);
    EXPECT_EQ(out[1], 0.0F);
    EXPECT_TRUE(std::isnan(out[2]));
    EXPECT_EQ(out[3], 1.0F);
    EXPECT_EQ(out[4], infinity);
    EXPECT_EQ(out[5], 0.0F);
    EXPECT_EQ(out[6], infinity);
  });
}

TEST(Vec, SoftplusAndSigmoidSaturate) {
  const std::vector<float> x = {200.0F, -200.0F, 1e30F, -1e30F};
  for_each_probe([&](const VecProbe& probe) {
    std::vector<float> out(x.size());
    probe.softplus(x.data(), out.data(), 4);
    EXPECT_EQ(out, (std::vector<float>{200.0F, 0.0F, 1e30F, 0.0F}));
    probe.sigmoid(x.data(), out.data(), 4);
    EXPECT_EQ(out, (std::vector<float>{1.0F, 0.0F, 1.0F, 0.0F}));
  });
}

TEST(Vec, Bf16RoundsToNearestEvenAtEveryLevel) {
  Random random(3);
  std::vector<float> x = {1.0F, 1.00390625F, 1.01171875F, -1.00390626F, 3.4e38F, 0.0F, -0.0F};
  std::uniform_int_distribution<uint32_t> mantissa;
  while (x.size() < 1000) {
    // Normal numbers only: avx512bf16 flushes denormals.
    x.push_back(std::bit_cast<float>((mantissa(random) & 0x807fffffU) |
                                     ((mantissa(random) % 250 + 1) << 23)));
  }
  for_each_probe([&](const VecProbe& probe) {
    const auto count = static_cast<int64_t>(x.size());
    std::vector<Bf16> narrow(x.size());
    std::vector<float> wide(x.size());
    probe.to_bf16(x.data(), narrow.data(), count);
    probe.to_float(narrow.data(), wide.data(), count);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(narrow[i].bits, to_bf16(x[i]).bits) << x[i];
      ASSERT_EQ(wide[i], to_float(narrow[i]));
    }
  });
}

TEST(Vec, PartialAccessTouchesItsLanesOnly) {
  for_each_probe([](const VecProbe& probe) {
    for (int64_t count = 1; count <= 2L * probe.lanes; ++count) {
      std::vector<float> x(static_cast<size_t>(count) + 1, 1.0F);
      x.back() = 100.0F;
      EXPECT_EQ(probe.sum(x.data(), count), static_cast<float>(count));
      std::vector<Bf16> narrow(x.size(), Bf16{7});
      probe.to_bf16(x.data(), narrow.data(), count);
      EXPECT_EQ(narrow.back().bits, 7);
      EXPECT_EQ(narrow[static_cast<size_t>(count) - 1].bits, to_bf16(1.0F).bits);
      std::vector<float> wide(x.size(), 5.0F);
      probe.to_float(narrow.data(), wide.data(), count);
      EXPECT_EQ(wide.back(), 5.0F);
    }
    for (int at = 0; at < probe.lanes; ++at) {
      std::vector<float> x(static_cast<size_t>(probe.lanes), -2.0F);
      x[static_cast<size_t>(at)] = -1.0F;
      EXPECT_EQ(probe.max_lane(x.data()), -1.0F);
    }
  });
}

}  // namespace
}  // namespace testing
}  // namespace sambay::ops
