#include "nn/mlp.h"
#include "nn/norm.h"
#include "support/gradient_check.h"

namespace sambay {
namespace {

using ops::testing::Random;
using ops::testing::random_tensor;
using testing::GradientCheck;

// Draws every parameter and lets the check watch it.
void watch_parameters(ParamStore& store, Random& random, GradientCheck& check) {
  for (Param& param : store.all()) {
    param.weight = testing::random_weight(random, param.shape);
    check.weights.push_back(&param.weight);
  }
}

TEST(Mlp, GradientsReachTheUpPortToo) {
  Random random(1);
  ParamStore store;
  const Mlp mlp(4, 3, {store, "mlp"});
  EXPECT_NE(store.find("mlp.w1.weight"), nullptr);
  EXPECT_EQ(store.find("mlp.w3.weight")->init, Init::output_linear);
  EXPECT_EQ(mlp.up_port().memory.width, 3);
  GradientCheck check;
  watch_parameters(store, random, check);
  check.inputs = {random_tensor(random, {5, 4}, DType::f64)};
  check.body = [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
    Var up;
    const Var out = mlp.forward(exec, in[0], &up);
    return {out, up};
  };
  testing::expect_gradients(check);
}

TEST(Norm, RmsHasAWeightAndLayerABiasToo) {
  Random random(2);
  ParamStore store;
  const ParamScope scope(store, "x");
  const Norm rms = Norm::rms(4, 1e-5F, scope.child("norm_1"));
  const Norm layer = Norm::layer(4, 1e-5F, scope.child("norm_2"));
  EXPECT_EQ(store.all().size(), 3U);
  GradientCheck check;
  watch_parameters(store, random, check);
  check.inputs = {random_tensor(random, {5, 4}, DType::f64)};
  check.body = [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
    return {rms.forward(exec, in[0]), layer.forward(exec, in[0])};
  };
  testing::expect_gradients(check);
}

}  // namespace
}  // namespace sambay
