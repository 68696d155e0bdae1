#include "nn/mlp.h"

#include <array>

namespace sambay {

Mlp::Mlp(int64_t width, int64_t inner, const ParamScope& scope)
    : inner_(inner),
      w1_(&scope.child("w1").add("weight", {2 * inner, width}, Role::hidden, Init::linear)),
      w3_(&scope.child("w3").add("weight", {width, inner}, Role::hidden, Init::output_linear)) {}

Port Mlp::up_port() const {
  return {.name = "up", .memory = {.kind = MemorySpec::Kind::rows, .width = inner_}};
}

Var Mlp::forward(Exec& exec, const Var& h, Var* up) const {
  const auto halves = split_last(exec, linear(exec, h, w1_->weight), std::array{inner_, inner_});
  if (up != nullptr) {
    *up = halves[1];
  }
  return linear(exec, silu_mul(exec, halves[0], halves[1]), w3_->weight);
}

}  // namespace sambay
