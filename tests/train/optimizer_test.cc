#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "train/run_fixture.h"

namespace sambay {
namespace {

// Two parameters of different groups, with their scalar doubles beside them.
class TwoParams {
 public:
  TwoParams() {
    store_.add("h.weight", {7, 33}, Role::hidden, Init::linear);
    store_.add("norm.weight", {41}, Role::vector, Init::ones);
    Rng rng(1);
    for (Param& param : store_.all()) {
      param.weight.value = Tensor::empty(param.shape, DType::f32);
      param.weight.gradient = Tensor::zeros(param.shape, DType::f32);
      for (int64_t i = 0; i < param.shape.elements(); ++i) {
        param.weight.value.data<float>()[i] = static_cast<float>(rng.normal());
        values_.push_back(param.weight.value.data<float>()[i]);
      }
    }
    m_.resize(values_.size());
    v_.resize(values_.size());
    gradients_.resize(values_.size());
  }

  ParamStore& store() { return store_; }
  int64_t hidden_elements() { return store_.all()[0].shape.elements(); }

  void draw_gradients(uint64_t seed, double scale) {
    Rng rng(seed);
    size_t k = 0;
    for (Param& param : store_.all()) {
      for (int64_t i = 0; i < param.shape.elements(); ++i) {
        gradients_[k] = static_cast<float>(scale * rng.normal());
        param.weight.gradient.data<float>()[i] = static_cast<float>(gradients_[k++]);
      }
    }
  }
  double norm() const {
    double squares = 0;
    for (const double g : gradients_) {
      squares += g * g;
    }
    return std::sqrt(squares);
  }
  // The step as a textbook writes it.
  void step(const OptimizerRecipe& o, double eta, double schedule, double hidden_rate, int t) {
    const double clip = o.clip > 0 && norm() > o.clip ? o.clip / norm() : 1;
    for (size_t i = 0; i < values_.size(); ++i) {
      const bool hidden = static_cast<int64_t>(i) < hidden_elements();
      const double rate = eta * (hidden ? hidden_rate : 1);
      const double decay = hidden ? o.weight_decay * (o.independent_decay ? schedule : rate) : 0;
      const double g = clip * gradients_[i];
      m_[i] = o.beta1 * m_[i] + (1 - o.beta1) * g;
      v_[i] = o.beta2 * v_[i] + (1 - o.beta2) * g * g;
      values_[i] -=
          decay * values_[i] + rate * (m_[i] / (1 - std::pow(o.beta1, t))) /
                                   (std::sqrt(v_[i] / (1 - std::pow(o.beta2, t))) + o.epsilon);
    }
  }
  void expect_masters(const Optimizer& optimizer, int steps) const {
    double difference = 0, total = 0;
    size_t k = 0;
    for (const auto& [name, tensor] : optimizer.masters()) {
      for (int64_t i = 0; i < tensor.elements(); ++i) {
        difference += std::pow(tensor.data<float>()[i] - values_[k], 2);
        total += std::pow(values_[k++], 2);
      }
    }
    // Each step rounds the parameter once; rounding errors of the update are smaller still.
    EXPECT_LE(std::sqrt(difference / total), 0x1p-24 * steps);
  }

 private:
  ParamStore store_;
  std::vector<double> values_, m_, v_, gradients_;
};

class OptimizerTest : public ::testing::TestWithParam<bool> {};

TEST_P(OptimizerTest, EqualsAScalarLoopInDouble) {
  const testing::RunFolder folder;
  const Recipe recipe =
      folder.recipe({{"optimizer", {{"base_depth", 8}, {"independent_decay", GetParam()}}}});
  Arena arena;
  TwoParams params;
  Optimizer optimizer(params.store(), recipe, arena);
  for (int t = 1; t <= 5; ++t) {
    // Clipping acts on some steps and not on others.
    params.draw_gradients(static_cast<uint64_t>(t), t % 2 == 0 ? 0.01 : 1);
    const double eta = 0.01 * t, schedule = 0.2 * t;
    EXPECT_NEAR(optimizer.step({eta, schedule}), params.norm(), 1e-6 * params.norm());
    params.step(recipe.optimizer, eta, schedule, 8.0 / 4, t);
    params.expect_masters(optimizer, t);
  }
}

INSTANTIATE_TEST_SUITE_P(Decay, OptimizerTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Independent" : "Coupled"; });

TEST(Optimizer, Bf16CopiesFollowTheMasters) {
  const testing::RunFolder folder;
  const Recipe recipe = folder.recipe({{"precision", "bf16"}});
  Arena arena;
  TwoParams params;
  Optimizer optimizer(params.store(), recipe, arena);
  const auto expect_copies = [&] {
    const Tensor master = optimizer.masters()[0].tensor;
    const Tensor copy = params.store().all()[0].weight.value;
    for (int64_t i = 0; i < master.elements(); ++i) {
      EXPECT_EQ(copy.data<Bf16>()[i].bits, to_bf16(master.data<float>()[i]).bits);
    }
    EXPECT_EQ(params.store().all()[1].weight.value.raw(), optimizer.masters()[1].tensor.raw());
  };
  expect_copies();
  params.draw_gradients(1, 1);
  optimizer.step({0.01, 1});
  expect_copies();
}

TEST(Optimizer, AGradientThatIsNotFiniteChangesNothing) {
  const testing::RunFolder folder;
  const Recipe recipe = folder.recipe();
  Arena arena;
  TwoParams params;
  Optimizer optimizer(params.store(), recipe, arena);
  params.draw_gradients(1, 1);
  params.store().all()[1].weight.gradient.data<float>()[40] = NAN;
  EXPECT_TRUE(std::isnan(optimizer.step({0.01, 1})));
  EXPECT_EQ(optimizer.steps_done(), 0);
  params.expect_masters(optimizer, 0);
}

}  // namespace
}  // namespace sambay
