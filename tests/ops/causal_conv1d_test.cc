#include "ops/causal_conv1d.h"

#include "base/threads.h"
#include "ops/op_test_util.h"

namespace sambay::ops::testing {
namespace {

// A row sums W products and passes through silu.
constexpr double roundings = 20;

struct Case {
  int64_t T, E, W;
  int segments;
  bool silu, bias;
};
constexpr Case cases[] = {{1, 1, 4, 1, true, true},    {9, 33, 4, 1, true, true},
                          {40, 67, 4, 9, true, true},  {12, 20, 2, 3, false, true},
                          {30, 18, 8, 4, true, false}, {5, 70, 1, 2, false, false}};

Tensor exact(const Tensor& tensor) {
  return tensor.defined() ? converted(tensor, DType::f64) : Tensor();
}

TEST(CausalConv1d, ForwardAndBackwardMatchTheReferenceAtEveryLevel) {
  Random random(1);
  for (const Case& c : cases) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Segments segments = random_segments(random, c.segments, c.T);
      const Tensor x = with_strided_rows(random_tensor(random, {c.T, c.E}, dtype));
      const Tensor d_out = with_strided_rows(random_tensor(random, {c.T, c.E}, dtype));
      const Tensor weight = random_tensor(random, {c.E, c.W}, DType::f32);
      const Tensor bias = c.bias ? random_tensor(random, {c.E}, DType::f32) : Tensor();
      const Tensor out = Tensor::empty({c.T, c.E}, DType::f64), d_x = out.clone();
      const Tensor d_weight = Tensor::zeros({c.E, c.W}, DType::f64);
      const Tensor d_bias = c.bias ? Tensor::zeros({c.E}, DType::f64) : Tensor();
      causal_conv1d(exact(x), exact(weight), exact(bias), c.silu, segments, {}, out);
      causal_conv1d_backward(exact(x), exact(weight), exact(bias), c.silu, segments, exact(d_out),
                             d_x, d_weight, d_bias);
      for_each_isa([&](const std::string& level) {
        const Tensor got = with_strided_rows(Tensor::zeros({c.T, c.E}, dtype));
        causal_conv1d(x, weight, bias, c.silu, segments, {}, got);
        expect_close(got, out, tolerance(dtype, roundings), level);
        const Tensor got_x = with_strided_rows(Tensor::zeros({c.T, c.E}, dtype));
        const Tensor got_weight = Tensor::zeros({c.E, c.W}, DType::f32);
        const Tensor got_bias = c.bias ? Tensor::zeros({c.E}, DType::f32) : Tensor();
        causal_conv1d_backward(x, weight, bias, c.silu, segments, d_out, got_x, got_weight,
                               got_bias);
        expect_close(got_x, d_x, tolerance(dtype, roundings), level + " d_x");
        expect_close(got_weight, d_weight, tolerance(DType::f32, roundings), level + " d_weight");
        if (c.bias) {
          expect_close(got_bias, d_bias, tolerance(DType::f32, roundings), level + " d_bias");
        }
      });
    }
  }
}

TEST(CausalConv1d, WholeEqualsChunksEqualsTokenByToken) {
  constexpr int64_t T = 23, E = 19, W = 4;
  Random random(2);
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const DType master = master_dtype(dtype);
    const Tensor x = random_tensor(random, {T, E}, dtype);
    const Tensor weight = random_tensor(random, {E, W}, master);
    const Tensor bias = random_tensor(random, {E}, master);
    const Tensor start = random_tensor(random, {W - 1, E}, master);
    for_each_isa([&](const std::string& level) {
      const auto run = [&](const std::vector<int64_t>& chunks, const Tensor& out,
                           const Tensor& state) {
        int64_t begin = 0;
        for (const int64_t size : chunks) {
          Segments segment;
          segment.add(size, begin);
          void* const states[] = {state.raw()};
          causal_conv1d(x.slice(0, begin, begin + size), weight, bias, true, segment, states,
                        out.slice(0, begin, begin + size));
          begin += size;
        }
      };
      const Tensor whole = Tensor::empty({T, E}, dtype), state = start.clone();
      run({T}, whole, state);
      for (const auto& chunks : {std::vector<int64_t>{7, 2, 0, 3, 11},
                                 std::vector<int64_t>(static_cast<size_t>(T), 1)}) {
        const Tensor out = Tensor::empty({T, E}, dtype), chunked = start.clone();
        run(chunks, out, chunked);
        EXPECT_EQ(values_of(out), values_of(whole)) << level;
        EXPECT_EQ(values_of(chunked), values_of(state)) << level;
      }
    });
  }
}

TEST(CausalConv1d, ReferenceGradientIsTheFiniteDifference) {
  Random random(3);
  Segments segments;
  segments.add(5);
  segments.add(0);
  segments.add(2);
  const Tensor x = random_tensor(random, {7, 3}, DType::f64);
  const Tensor weight = random_tensor(random, {3, 4}, DType::f64);
  const Tensor bias = random_tensor(random, {3}, DType::f64);
  const Tensor d_out = random_tensor(random, {7, 3}, DType::f64);
  const Tensor out = d_out.clone(), d_x = d_out.clone();
  const Tensor d_weight = Tensor::zeros({3, 4}, DType::f64);
  const Tensor d_bias = Tensor::zeros({3}, DType::f64);
  const auto loss = [&] {
    causal_conv1d(x, weight, bias, true, segments, {}, out);
    return inner_product(out, d_out);
  };
  causal_conv1d_backward(x, weight, bias, true, segments, d_out, d_x, d_weight, d_bias);
  expect_gradient(loss, x, d_x, "x");
  expect_gradient(loss, weight, d_weight, "weight");
  expect_gradient(loss, bias, d_bias, "bias");
}

TEST(CausalConv1d, BackwardAddsToTheFilter) {
  Random random(4);
  Segments segments;
  segments.add(30);
  const Tensor x = random_tensor(random, {30, 70}, DType::f32), d_x = x.clone();
  const Tensor weight = random_tensor(random, {70, 4}, DType::f32);
  const Tensor d_weight = Tensor::zeros({70, 4}, DType::f32);
  causal_conv1d_backward(x, weight, {}, true, segments, x, d_x, d_weight, {});
  const Tensor once = d_weight.clone();
  causal_conv1d_backward(x, weight, {}, true, segments, x, d_x, d_weight, {});
  expect_doubled(d_weight, once, 30);
}

}  // namespace
}  // namespace sambay::ops::testing
