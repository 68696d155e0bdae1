#include "train/parametrization.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sambay {
namespace {

LearningRateScaling scaling(Parametrization parametrization) {
  return {parametrization, 24, 16, 1 << 19, 1 << 21};
}

// Spec section 11, row by row: {learning rate over eta, weight decay}.
void expect_group(Role role, Parametrization parametrization, double rate, double decay) {
  const ParamGroup group = param_group(role, scaling(parametrization), 0.1);
  EXPECT_DOUBLE_EQ(group.learning_rate, rate) << name(parametrization);
  EXPECT_DOUBLE_EQ(group.weight_decay, decay) << name(parametrization);
}

TEST(Parametrization, HiddenMatricesLearnSlowerWithDepthInMuP) {
  expect_group(Role::hidden, Parametrization::sp, 1, 0.1);
  expect_group(Role::hidden, Parametrization::mup, 16.0 / 24, 0.1);
  expect_group(Role::hidden, Parametrization::mup_pp, 16.0 / 24, 0.1);
}

TEST(Parametrization, AllElseLearnsAtEtaAndDecaysButInMuPPlusPlus) {
  for (const Role role : {Role::embedding, Role::readout, Role::vector, Role::ssm_scalar}) {
    expect_group(role, Parametrization::sp, 1, 0.1);
    expect_group(role, Parametrization::mup, 1, 0.1);
    expect_group(role, Parametrization::mup_pp, 1, 0);
  }
}

TEST(Parametrization, EtaFollowsBatchAndInMuPPlusPlusDepth) {
  const double batch = std::sqrt(0.25);
  EXPECT_DOUBLE_EQ(scaled_learning_rate(4e-4, scaling(Parametrization::sp)), 4e-4 * batch);
  EXPECT_DOUBLE_EQ(scaled_learning_rate(4e-4, scaling(Parametrization::mup)), 4e-4 * batch);
  EXPECT_DOUBLE_EQ(scaled_learning_rate(4e-4, scaling(Parametrization::mup_pp)),
                   4e-4 * batch * std::sqrt(16.0 / 24));
  LearningRateScaling fixed = scaling(Parametrization::sp);
  fixed.base_batch_tokens = 0;
  EXPECT_EQ(scaled_learning_rate(4e-4, fixed), 4e-4);
}

}  // namespace
}  // namespace sambay
