#include "autograd/functions.h"

#include <array>

#include "support/gradient_check.h"

namespace sambay {
namespace {

using ops::testing::Random;
using ops::testing::random_tensor;
using testing::expect_gradients;
using testing::GradientCheck;
using testing::random_weight;

// Three segments, the middle one empty.
Segments example_segments(int64_t a, int64_t b) {
  Segments out;
  out.add(a);
  out.add(0);
  out.add(b);
  return out;
}

TEST(Functions, LinearWithBias) {
  Random random(1);
  Weight weight = random_weight(random, {3, 5}), bias = random_weight(random, {3});
  expect_gradients({{random_tensor(random, {4, 5}, DType::f64)},
                    {&weight, &bias},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {linear(exec, in[0], weight, &bias)};
                    }});
}

TEST(Functions, LinearOverRowsOfAWeight) {
  Random random(2);
  Weight weight = random_weight(random, {6, 5});
  expect_gradients({{random_tensor(random, {4, 5}, DType::f64)},
                    {&weight},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      const Weight rows = {
                          weight.value.slice(0, 2, 5),
                          weight.gradient.defined() ? weight.gradient.slice(0, 2, 5) : Tensor{}};
                      return {linear(exec, in[0], rows)};
                    }});
}

TEST(Functions, Norms) {
  Random random(3);
  Weight weight = random_weight(random, {7}), bias = random_weight(random, {7});
  expect_gradients({{random_tensor(random, {3, 7}, DType::f64)},
                    {&weight, &bias},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {rms_norm(exec, in[0], weight, 1e-5F),
                              layer_norm(exec, in[0], weight, bias, 1e-5F)};
                    }});
}

TEST(Functions, SiluMulOfTheSameValueTwice) {
  Random random(4);
  expect_gradients({{random_tensor(random, {3, 4}, DType::f64)},
                    {},
                    [](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {silu_mul(exec, in[0], in[0])};
                    }});
}

TEST(Functions, AddScaledThenMoreConsumers) {
  Random random(5);
  Weight weight = random_weight(random, {4}), matrix = random_weight(random, {4, 4});
  expect_gradients({{random_tensor(random, {3, 4}, DType::f64)},
                    {&weight, &matrix},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      Var x = in[0];
                      for (int layer = 0; layer < 2; ++layer) {
                        const Var h = rms_norm(exec, x, weight, 1e-5F);
                        x = add_scaled(exec, x, linear(exec, h, matrix), 0.5F);
                      }
                      return {x};
                    }});
}

TEST(Functions, AddScaledWithoutATapeWritesToTheResidualStream) {
  Random random(6);
  Exec exec = testing::f64_exec();
  const Var x = {random_tensor(random, {3, 4}, DType::f64)};
  const Var out = add_scaled(exec, x, {random_tensor(random, {3, 4}, DType::f64)}, 0.5F);
  EXPECT_EQ(out.value.raw(), x.value.raw());
}

TEST(Functions, SplitLastOfWhichAPartIsUnused) {
  Random random(7);
  Weight matrix = random_weight(random, {9, 5});
  expect_gradients(
      {{random_tensor(random, {4, 5}, DType::f64)},
       {&matrix},
       [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
         const auto parts =
             split_last(exec, linear(exec, in[0], matrix), std::array<int64_t, 4>{3, 2, 3, 1});
         // Part 0 has two consumers, part 1 none, part 3 is a result itself.
         return {silu_mul(exec, parts[0], parts[2]), silu_mul(exec, parts[0], parts[0]), parts[3]};
       }});
}

TEST(Functions, SplitLastOfALeafAndOfAPart) {
  Random random(8);
  expect_gradients({{random_tensor(random, {4, 8}, DType::f64)},
                    {},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      const auto parts = split_last(exec, in[0], std::array<int64_t, 3>{4, 2, 2});
                      const auto inner = split_last(exec, parts[0], std::array<int64_t, 2>{2, 2});
                      return {silu_mul(exec, inner[0], parts[2])};
                    }});
}

TEST(Functions, SelectRows) {
  Random random(9);
  const Segments all = example_segments(3, 4);
  const Segments wanted = suffix(all, {1, 0, 2});
  expect_gradients({{random_tensor(random, {7, 4}, DType::f64)},
                    {},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {select_rows(exec, in[0], all, wanted),
                              silu_mul(exec, in[0], select_rows(exec, in[0], all, all))};
                    }});
}

TEST(Functions, Embedding) {
  Random random(10);
  Weight table = random_weight(random, {5, 3});
  const std::vector<int32_t> ids = {4, 0, 4, 2};
  expect_gradients({{}, {&table}, [&](Exec& exec, std::span<const Var>) -> std::vector<Var> {
                      return {embedding(exec, ids, table)};
                    }});
}

TEST(Functions, Rope) {
  Random random(11);
  const Segments segments = example_segments(2, 3);
  expect_gradients({{random_tensor(random, {5, 8}, DType::f64)},
                    {},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {rope(exec, in[0], 2, segments, 100.0)};
                    }});
}

TEST(Functions, CausalConv1d) {
  Random random(12);
  Weight weight = random_weight(random, {3, 1, 4}), bias = random_weight(random, {3});
  const Segments segments = example_segments(2, 6);
  expect_gradients({{random_tensor(random, {8, 3}, DType::f64)},
                    {&weight, &bias},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {causal_conv1d(exec, in[0], weight, &bias, true, segments, {}),
                              causal_conv1d(exec, in[0], weight, nullptr, false, segments, {})};
                    }});
}

TEST(Functions, SelectiveScan) {
  Random random(13);
  Weight a_log = random_weight(random, {3, 2}), skip = random_weight(random, {3}),
         dt_bias = random_weight(random, {3});
  const Segments segments = example_segments(3, 70);
  expect_gradients(
      {{random_tensor(random, {73, 3}, DType::f64), random_tensor(random, {73, 3}, DType::f64),
        random_tensor(random, {73, 4}, DType::f64)},
       {&a_log, &skip, &dt_bias},
       [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
         const auto bc = split_last(exec, in[2], std::array<int64_t, 2>{2, 2});
         return {selective_scan(exec, {in[0], in[1], bc[0], bc[1], &a_log, &skip, &dt_bias},
                                segments, {})};
       }});
}

void expect_attention_gradients(const ops::HeadMap& map, int64_t window) {
  Random random(14);
  const Segments tokens = example_segments(5, 4);
  const Segments queries = suffix(tokens, {2, 0, 4});
  const ops::AttentionOptions options = {map, window, 0.7F};
  const int64_t k_width = map.k_heads * map.head_dim;
  expect_gradients({{random_tensor(random, {6, map.heads * map.head_dim}, DType::f64),
                     random_tensor(random, {9, k_width}, DType::f64),
                     random_tensor(random, {9, k_width}, DType::f64)},
                    {},
                    [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
                      return {attention(exec, in[0], in[1], in[2], queries, tokens, options)};
                    }});
}

TEST(Functions, Attention) {
  expect_attention_gradients({.heads = 4, .k_heads = 2, .head_dim = 3}, 0);
}

TEST(Functions, AttentionWithAWindowAndPairs) {
  expect_attention_gradients({.heads = 4, .k_heads = 2, .head_dim = 3, .paired = true}, 3);
}

TEST(Functions, Differential) {
  Random random(15);
  std::vector<Weight> w;
  for (int i = 0; i < 4; ++i) {
    w.push_back(random_weight(random, {3}));
  }
  w.push_back(random_weight(random, {6}));
  expect_gradients(
      {{random_tensor(random, {2, 4 * 6}, DType::f64)},
       {&w[0], &w[1], &w[2], &w[3], &w[4]},
       [&](Exec& exec, std::span<const Var> in) -> std::vector<Var> {
         return {differential(exec, in[0], 4, {&w[0], &w[1], &w[2], &w[3], &w[4]}, 0.3F, 1e-5F)};
       }});
}

}  // namespace
}  // namespace sambay
