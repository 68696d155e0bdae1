#include "nn/norm.h"

namespace sambay {

Norm::Norm(int64_t width, float eps, const ParamScope& scope)
    : weight_(&scope.add("weight", {width}, Role::vector, Init::ones)), eps_(eps) {}

Norm Norm::rms(int64_t width, float eps, const ParamScope& scope) {
  return {width, eps, scope};
}

Norm Norm::layer(int64_t width, float eps, const ParamScope& scope) {
  Norm norm(width, eps, scope);
  norm.bias_ = &scope.add("bias", {width}, Role::vector, Init::zeros);
  return norm;
}

Var Norm::forward(Exec& exec, const Var& x) const {
  return bias_ == nullptr ? rms_norm(exec, x, weight_->weight, eps_)
                          : layer_norm(exec, x, weight_->weight, bias_->weight, eps_);
}

}  // namespace sambay
