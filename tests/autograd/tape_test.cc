#include "autograd/tape.h"

#include <array>

#include "autograd/functions.h"
#include "support/gradient_check.h"

namespace sambay {
namespace {

using ops::testing::Random;
using ops::testing::random_tensor;
using ops::testing::values_of;
using testing::random_weight;

TEST(Tape, GivesItsMemoryBackAndIsEmptyAfterwards) {
  Arena arena;
  Random random(1);
  Weight weight = random_weight(random, {4, 4});
  const Tensor x = random_tensor(random, {3, 4}, DType::f64);
  Tape tape(arena);
  Exec exec = {.arena = &arena, .tape = &tape, .precision = {DType::f64, DType::f64}};
  for (int pass = 0; pass < 2; ++pass) {
    {
      Var h = {x};
      for (int layer = 0; layer < 3; ++layer) {
        h = linear(exec, h, weight);
      }
      tape.backward(h, Tensor::zeros({3, 4}, DType::f64, arena));
    }
    EXPECT_EQ(arena.bytes_in_use(), 0U);
  }
}

TEST(Tape, LeavesKeepTheirGradients) {
  Random random(2);
  Tape tape(default_arena(Device::cpu));
  const Var x = tape.leaf(random_tensor(random, {2, 2}, DType::f64));
  const Var unused = tape.leaf(random_tensor(random, {2, 2}, DType::f64));
  const Tensor direction = random_tensor(random, {2, 2}, DType::f64);
  const std::vector<double> expected = values_of(direction);
  tape.backward(x, direction);
  EXPECT_EQ(values_of(tape.gradient(x)), expected);
  EXPECT_FALSE(tape.received(unused));
  EXPECT_EQ(values_of(tape.gradient(unused)), std::vector<double>(4, 0.0));
}

TEST(Tape, WhatNobodyAskedForDoesNotRun) {
  Tape tape(default_arena(Device::cpu));
  const Tensor value = Tensor::zeros({1, 1}, DType::f64);
  const Var used = tape.track(value), unused = tape.track(value);
  int used_runs = 0, unused_runs = 0;
  tape.record({used}, [&] { ++used_runs; });
  tape.record({unused}, [&] { ++unused_runs; });
  tape.backward(used, value.clone());
  EXPECT_EQ(used_runs, 1);
  EXPECT_EQ(unused_runs, 0);
}

TEST(Tape, UntrackedInputsAndFrozenWeightsRecordNothing) {
  Random random(3);
  Tape tape(default_arena(Device::cpu));
  Exec exec = testing::f64_exec(&tape);
  const Weight frozen = {random_tensor(random, {3, 2}, DType::f64), {}};
  const Var out = linear(exec, {random_tensor(random, {4, 2}, DType::f64)}, frozen);
  EXPECT_FALSE(out.tracked());
}

// A layer in miniature: norm, gated linear units, residual sum.
testing::GradientCheck example_layers(Random& random, std::vector<Weight>& weights, bool again) {
  weights.clear();
  weights.push_back(random_weight(random, {4}));
  weights.push_back(random_weight(random, {6, 4}));
  weights.push_back(random_weight(random, {4, 3}));
  const auto layer = [&weights](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
    const Var h = linear(exec, rms_norm(exec, in[0], weights[0], 1e-5F), weights[1]);
    const auto halves = split_last(exec, h, std::array<int64_t, 2>{3, 3});
    const Var out = linear(exec, silu_mul(exec, halves[0], halves[1]), weights[2]);
    return {add_scaled(exec, in[0], out, 0.5F), halves[1]};
  };
  return {{random_tensor(random, {5, 4}, DType::f64)},
          {&weights[0], &weights[1], &weights[2]},
          [layer, again](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
            Var x = in[0], memory;
            for (int i = 0; i < 2; ++i) {
              const auto out =
                  again ? recompute(exec, std::span(&x, 1), layer) : layer(exec, std::span(&x, 1));
              x = out[0];
              memory = out[1];
            }
            return {x, memory};
          }};
}

TEST(Recompute, EqualsPlainBitForBit) {
  std::vector<Weight> weights, weights_again;
  Random random(4), random_again(4), directions(5);
  const auto plain = example_layers(random, weights, false);
  const auto again = example_layers(random_again, weights_again, true);
  const auto seeds = testing::random_directions(plain, directions);
  const auto expected = testing::backpropagate(plain, seeds);
  const auto got = testing::backpropagate(again, seeds);
  EXPECT_EQ(values_of(got.inputs[0]), values_of(expected.inputs[0]));
  for (size_t i = 0; i < expected.weights.size(); ++i) {
    EXPECT_EQ(values_of(got.weights[i]), values_of(expected.weights[i]));
  }
}

TEST(Recompute, KeepsOnlyTheInputs) {
  Arena arena;
  Random random(6);
  std::vector<Weight> weights;
  std::array<size_t, 2> bytes{};
  for (const bool again : {false, true}) {
    const auto layers = example_layers(random, weights, again);
    Tape tape(arena);
    Exec exec = {.arena = &arena, .tape = &tape, .precision = {DType::f64, DType::f64}};
    const std::vector<Var> out = layers.body(exec, std::array{tape.leaf(layers.inputs[0])});
    bytes[again ? 1 : 0] = arena.bytes_in_use();
  }
  EXPECT_LT(bytes[1], bytes[0]);
}

TEST(Recompute, LeavesItsInputsAlone) {
  Random random(7);
  std::vector<Weight> weights;
  const auto layers = example_layers(random, weights, true);
  Tape tape(default_arena(Device::cpu));
  Exec exec = testing::f64_exec(&tape);
  const Tensor x = layers.inputs[0];
  const std::vector<double> before = values_of(x);
  layers.body(exec, std::array{Var{x}});
  EXPECT_EQ(values_of(x), before);
}

TEST(Recompute, PassesFiniteDifferences) {
  Random random(8);
  std::vector<Weight> weights;
  testing::expect_gradients(example_layers(random, weights, true));
}

}  // namespace
}  // namespace sambay
