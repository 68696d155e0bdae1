// A differentiable function of tensors and weights against central differences, in f64.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "autograd/exec.h"
#include "ops/op_test_util.h"

namespace sambay::testing {

inline Exec f64_exec(Tape* tape = nullptr) {
  return {
      .arena = &default_arena(Device::cpu), .tape = tape, .precision = {DType::f64, DType::f64}};
}

// A weight with a gradient buffer of zeros.
inline Weight random_weight(ops::testing::Random& random, const Shape& shape, double low = -1,
                            double high = 1) {
  return {ops::testing::random_tensor(random, shape, DType::f64, low, high),
          Tensor::zeros(shape, DType::f64)};
}

struct GradientCheck {
  std::vector<Tensor> inputs;
  std::vector<Weight*> weights;
  std::function<std::vector<Var>(Exec&, std::span<const Var>)> body;
};

struct Gradients {
  std::vector<Tensor> inputs, weights;
};

// Of the loss sum_i <result i, directions[i]>.
inline Gradients backpropagate(const GradientCheck& check, const std::vector<Tensor>& directions) {
  Tape tape(default_arena(Device::cpu));
  Exec exec = f64_exec(&tape);
  std::vector<Var> leaves;
  for (const Tensor& input : check.inputs) {
    leaves.push_back(tape.leaf(input.clone()));
  }
  for (Weight* weight : check.weights) {
    weight->gradient.zero();
  }
  std::vector<Tensor> seeds;
  for (const Tensor& direction : directions) {
    seeds.push_back(direction.clone());
  }
  tape.backward(check.body(exec, leaves), seeds);
  Gradients out;
  for (const Var& leaf : leaves) {
    out.inputs.push_back(tape.gradient(leaf));
  }
  for (const Weight* weight : check.weights) {
    out.weights.push_back(weight->gradient.clone());
  }
  return out;
}

// Results without a tape; the inputs are copied, because some functions write to them.
inline std::vector<Var> evaluate(const GradientCheck& check) {
  Exec exec = f64_exec();
  std::vector<Var> inputs;
  for (const Tensor& input : check.inputs) {
    inputs.push_back({input.clone()});
  }
  return check.body(exec, inputs);
}

inline std::vector<Tensor> random_directions(const GradientCheck& check,
                                             ops::testing::Random& random) {
  std::vector<Tensor> directions;
  for (const Var& result : evaluate(check)) {
    directions.push_back(ops::testing::random_tensor(random, result.value.shape(), DType::f64));
  }
  return directions;
}

inline void expect_gradients(const GradientCheck& check, const std::string& what = "") {
  ops::testing::Random random(7);
  const std::vector<Tensor> directions = random_directions(check, random);
  const Gradients gradients = backpropagate(check, directions);
  const auto loss = [&] {
    const std::vector<Var> results = evaluate(check);
    double sum = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      sum += ops::testing::inner_product(results[i].value, directions[i]);
    }
    return sum;
  };
  for (size_t i = 0; i < check.inputs.size(); ++i) {
    ops::testing::expect_gradient(loss, check.inputs[i], gradients.inputs[i],
                                  fmt::format("{} input {}", what, i));
  }
  for (size_t i = 0; i < check.weights.size(); ++i) {
    ops::testing::expect_gradient(loss, check.weights[i]->value, gradients.weights[i],
                                  fmt::format("{} weight {}", what, i));
  }
}

}  // namespace sambay::testing
