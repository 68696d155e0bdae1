#include "ops/norm.h"

#include "base/threads.h"
#include "ops/op_test_util.h"

namespace sambay::ops::testing {
namespace {

constexpr float eps = 1e-5F;

// One interface for both norms, so that both pass the same tests.
struct Norm {
  bool centred;
  void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out) const {
    if (centred) {
      layer_norm(x, weight, bias, eps, out);
    } else {
      rms_norm(x, weight, eps, out);
    }
  }
  void backward(const Tensor& x, const Tensor& weight, const Tensor& d_out, const Tensor& d_x,
                const Tensor& d_weight, const Tensor& d_bias) const {
    if (centred) {
      layer_norm_backward(x, weight, eps, d_out, d_x, d_weight, d_bias);
    } else {
      rms_norm_backward(x, weight, eps, d_out, d_x, d_weight);
    }
  }
};
constexpr Norm norms[] = {{false}, {true}};

TEST(Norm, ForwardAndBackwardMatchTheReferenceForEveryMixtureOfDtypes) {
  Random random(1);
  for (const Norm& norm : norms) {
    for (const Shape& shape : {Shape{1, 5}, Shape{3, 17}, Shape{300, 33}, Shape{2, 1030}}) {
      for (const DType type : {DType::f32, DType::bf16}) {
        for (const DType out_type : {DType::f32, DType::bf16}) {
          const Tensor x = with_strided_rows(random_tensor(random, shape, type, -1, 2));
          const Tensor weight = random_tensor(random, {shape[1]}, DType::f32, 0.5, 1.5);
          const Tensor bias = random_tensor(random, {shape[1]}, DType::f32);
          const Tensor d_out = with_strided_rows(random_tensor(random, shape, out_type));
          const auto exact = [](const Tensor& t) { return converted(t, DType::f64); };
          const Tensor out = Tensor::empty(shape, DType::f64), d_x = out.clone();
          const Tensor d_weight = Tensor::zeros({shape[1]}, DType::f64), d_bias = d_weight.clone();
          norm.forward(exact(x), exact(weight), exact(bias), out);
          norm.backward(exact(x), exact(weight), exact(d_out), d_x, d_weight, d_bias);
          // Sums over a row or a column of n numbers err by about sqrt(n) roundings.
          const double roundings =
              8 + 2 * std::sqrt(static_cast<double>(std::max(shape[0], shape[1])));
          for_each_isa([&](const std::string& level) {
            const Tensor got = with_strided_rows(Tensor::zeros(shape, out_type));
            norm.forward(x, weight, bias, got);
            expect_close(got, out, tolerance(out_type, roundings), level);
            const Tensor got_x = with_strided_rows(Tensor::zeros(shape, type));
            const Tensor got_weight = Tensor::zeros({shape[1]}, DType::f32),
                         got_bias = got_weight.clone();
            norm.backward(x, weight, d_out, got_x, got_weight, got_bias);
            expect_close(got_x, d_x, tolerance(type, roundings), level + " d_x");
            expect_close(got_weight, d_weight, tolerance(DType::f32, roundings), level + " d_w");
            if (norm.centred) {
              expect_close(got_bias, d_bias, tolerance(DType::f32, roundings), level + " d_b");
            }
          });
        }
      }
    }
  }
}

TEST(Norm, ReferenceGradientIsTheFiniteDifference) {
  Random random(2);
  for (const Norm& norm : norms) {
    const Tensor x = random_tensor(random, {4, 6}, DType::f64);
    const Tensor weight = random_tensor(random, {6}, DType::f64, 0.5, 1.5);
    const Tensor bias = random_tensor(random, {6}, DType::f64);
    const Tensor d_out = random_tensor(random, {4, 6}, DType::f64);
    const Tensor out = d_out.clone(), d_x = d_out.clone();
    const Tensor d_weight = Tensor::zeros({6}, DType::f64), d_bias = d_weight.clone();
    const auto loss = [&] {
      norm.forward(x, weight, bias, out);
      return inner_product(out, d_out);
    };
    norm.backward(x, weight, d_out, d_x, d_weight, d_bias);
    expect_gradient(loss, x, d_x, "x");
    expect_gradient(loss, weight, d_weight, "weight");
    if (norm.centred) {
      expect_gradient(loss, bias, d_bias, "bias");
    }
  }
}

TEST(Norm, BackwardAddsToTheWeightAndIgnoresTheNumberOfThreads) {
  Random random(3);
  const Tensor x = random_tensor(random, {500, 40}, DType::f32);
  const Tensor d_out = random_tensor(random, {500, 40}, DType::f32), d_x = x.clone();
  const Tensor weight = random_tensor(random, {40}, DType::f32);
  const auto run = [&](int threads, const Tensor& d_weight) {
    const int before = num_threads();
    set_num_threads(threads);
    rms_norm_backward(x, weight, eps, d_out, d_x, d_weight);
    set_num_threads(before);
  };
  const Tensor one = Tensor::zeros({40}, DType::f32), three = one.clone();
  run(1, one);
  run(3, three);
  EXPECT_EQ(values_of(one), values_of(three));
  run(1, one);
  expect_doubled(one, three, 500);
}

}  // namespace
}  // namespace sambay::ops::testing
