#include "train/parametrization.h"

#include <cmath>

namespace sambay {
namespace {

double depth_ratio(const LearningRateScaling& scaling) {
  return static_cast<double>(scaling.base_depth) / static_cast<double>(scaling.depth);
}

}  // namespace

double scaled_learning_rate(double base, const LearningRateScaling& scaling) {
  double eta = base;
  if (scaling.base_batch_tokens > 0) {
    eta *= std::sqrt(scaling.batch_tokens / scaling.base_batch_tokens);
  }
  if (scaling.parametrization == Parametrization::mup_pp) {
    eta *= std::sqrt(depth_ratio(scaling));
  }
  return eta;
}

ParamGroup param_group(Role role, const LearningRateScaling& scaling, double weight_decay) {
  const bool matrix_like = role == Role::hidden;
  switch (scaling.parametrization) {
    case Parametrization::sp:
      return {1, weight_decay};
    case Parametrization::mup:
      return {matrix_like ? depth_ratio(scaling) : 1, weight_decay};
    case Parametrization::mup_pp:
      return {matrix_like ? depth_ratio(scaling) : 1, matrix_like ? weight_decay : 0};
  }
  return {};
}

}  // namespace sambay
