#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/onednn/product_onednn.h"
#include "ops/ref/matmul.h"
#include "support/fault.h"

namespace sambay::ops {
namespace {

using sambay::testing::fault;

// A matrix of random values in some dtype, with padding behind each row, and the same in double.
struct RandomMatrix {
  Tensor tensor;
  std::vector<double> values;

  RandomMatrix(int64_t rows, int64_t columns, DType dtype, std::mt19937& random)
      : values(static_cast<size_t>(rows * columns)) {
    constexpr int64_t padding = 3;
    tensor = Tensor::zeros({rows, columns + padding}, dtype).slice(1, 0, columns);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int64_t i = 0; i < rows * columns; ++i) {
      values[static_cast<size_t>(i)] = put(i / columns, i % columns, uniform(random));
    }
  }

  double put(int64_t row, int64_t column, float value) {
    const int64_t at = row * tensor.stride(0) + column;
    switch (tensor.dtype()) {
      case DType::f64:
        return tensor.data<double>()[at] = value;
      case DType::bf16:
        return to_float(tensor.data<Bf16>()[at] = to_bf16(value));
      default:
        return tensor.data<float>()[at] = value;
    }
  }
};

double get(const Tensor& t, int64_t row, int64_t column) {
  const int64_t at = row * t.stride(0) + column;
  switch (t.dtype()) {
    case DType::f64:
      return t.data<double>()[at];
    case DType::bf16:
      return to_float(t.data<Bf16>()[at]);
    default:
      return t.data<float>()[at];
  }
}

// |computed - exact| <= gamma * sum |a||b| with gamma of k sums in the accumulator's precision
// (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), and one rounding to the result's
// dtype.
struct Tolerance {
  double accumulator, result;

  Tolerance(DType operands, DType result_dtype)
      : accumulator(operands == DType::f64 ? 0x1p-53 : 0x1p-24),
        result(result_dtype == DType::bf16 ? 0x1p-8 : accumulator) {}

  double bound(int64_t k, double exact, double magnitude) const {
    return static_cast<double>(k + 4) * accumulator * magnitude +
           result * (std::abs(exact) + static_cast<double>(k + 4) * accumulator * magnitude);
  }
};

struct Case {
  int64_t m, n, k;
  DType dtype = DType::f32, c_dtype = DType::f32;
  MatmulOptions options = {};
};

void expect_matmul_is_exact_enough(const Case& t, std::mt19937& random) {
  const auto& o = t.options;
  RandomMatrix a(o.transpose_a ? t.k : t.m, o.transpose_a ? t.m : t.k, t.dtype, random);
  RandomMatrix b(o.transpose_b ? t.n : t.k, o.transpose_b ? t.k : t.n, t.dtype, random);
  RandomMatrix c(t.m, t.n, t.c_dtype, random);
  std::vector<double> exact = c.values, magnitude = c.values;
  for (double& x : magnitude) {
    x = std::abs(x);
  }
  const auto product = [&](const std::vector<double>& x, const std::vector<double>& y,
                           std::vector<double>& z, double alpha) {
    ref::matmul<double>({.m = t.m,
                         .n = t.n,
                         .k = t.k,
                         .a = {x.data(), o.transpose_a ? 1 : t.k, o.transpose_a ? t.m : 1},
                         .b = {y.data(), o.transpose_b ? 1 : t.n, o.transpose_b ? t.k : 1},
                         .c = {z.data(), t.n, 1},
                         .alpha = alpha,
                         .accumulate = o.accumulate});
  };
  product(a.values, b.values, exact, o.alpha);
  for (auto* values : {&a.values, &b.values}) {
    for (double& x : *values) {
      x = std::abs(x);
    }
  }
  product(a.values, b.values, magnitude, std::abs(o.alpha));

  matmul(a.tensor, b.tensor, c.tensor, o);
  const Tolerance tolerance(t.dtype, t.c_dtype);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < t.n; ++j) {
      const auto at = static_cast<size_t>(i * t.n + j);
      ASSERT_NEAR(get(c.tensor, i, j), exact[at], tolerance.bound(t.k, exact[at], magnitude[at]))
          << name(isa()) << " " << name(t.dtype) << " (" << t.m << ", " << t.n << ", " << t.k
          << ") transposed " << o.transpose_a << o.transpose_b << " at " << i << ", " << j;
    }
    // Nothing is written behind a row.
    ASSERT_EQ(get(c.tensor, i, t.n), 0) << "row " << i;
  }
}

class MatmulAtEveryLevel : public ::testing::TestWithParam<Isa> {};

TEST_P(MatmulAtEveryLevel, MatmulEqualsDoubleForOddSizesAndEveryTranspose) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(1);
  const std::vector<Case> sizes = {{1, 1, 1},    {1, 37, 64},  {3, 5, 7},    {14, 32, 128},
                                   {15, 33, 2},  {17, 31, 62}, {28, 94, 65}, {45, 64, 33},
                                   {113, 70, 9}, {16, 257, 3}, {5, 2, 517}};
  for (const Case& size : sizes) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const DType c_dtype : {DType::f32, DType::bf16}) {
        for (int layout = 0; layout < 4; ++layout) {
          Case t = size;
          t.dtype = dtype;
          t.c_dtype = c_dtype;
          t.options.transpose_a = (layout & 1) != 0;
          t.options.transpose_b = (layout & 2) != 0;
          expect_matmul_is_exact_enough(t, random);
          t.options.alpha = 0.37F;
          t.options.accumulate = c_dtype == DType::f32;
          expect_matmul_is_exact_enough(t, random);
        }
      }
    }
  }
}

// Several blocks in each dimension and a sum cut into slabs.
TEST_P(MatmulAtEveryLevel, MatmulEqualsDoubleBeyondOneBlock) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(2);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    expect_matmul_is_exact_enough({230, 531, 37, dtype, DType::f32, {}}, random);
    expect_matmul_is_exact_enough(
        {33, 61, 2345, dtype, DType::f32, {.transpose_a = true, .accumulate = true}}, random);
    expect_matmul_is_exact_enough({33, 61, 2345, dtype, DType::bf16, {.transpose_b = true}},
                                  random);
  }
}

TEST_P(MatmulAtEveryLevel, AnEmptySumLeavesTheBiasOrWhatWasThere) {
  const ScopedIsa level(GetParam());
  const Tensor a = Tensor::zeros({20, 0}, DType::f32), b = Tensor::zeros({0, 3}, DType::f32);
  const Tensor c = Tensor::zeros({20, 3}, DType::f32);
  c.data<float>()[5] = 7;
  matmul(a, b, c, {.accumulate = true});
  EXPECT_EQ(c.data<float>()[5], 7);
  matmul(a, b, c);
  EXPECT_EQ(c.data<float>()[5], 0);
  matmul(a.slice(0, 0, 0), b, c.slice(0, 0, 0));
}

TEST_P(MatmulAtEveryLevel, LinearEqualsDoubleForEveryFewRows) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(3);
  for (int64_t rows = 1; rows <= 50; rows += rows < 18 ? 1 : 8) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const DType out_dtype : {DType::f32, DType::bf16}) {
        const int64_t in = 1 + rows * 23 % 131, outs = 1 + rows * 17 % 59;
        const RandomMatrix x(rows, in, dtype, random), weight(outs, in, dtype, random);
        const RandomMatrix bias(1, outs, DType::f32, random);
        const Tensor out = Tensor::empty({rows, outs}, out_dtype);
        const Tensor bias_row = Tensor::borrow(bias.tensor.raw(), {outs}, DType::f32);
        linear(x.tensor, weight.tensor, bias_row, out);
        const Tolerance tolerance(dtype, out_dtype);
        for (int64_t t = 0; t < rows; ++t) {
          for (int64_t o = 0; o < outs; ++o) {
            double exact = bias.values[static_cast<size_t>(o)], magnitude = std::abs(exact);
            for (int64_t i = 0; i < in; ++i) {
              const double term = x.values[static_cast<size_t>(t * in + i)] *
                                  weight.values[static_cast<size_t>(o * in + i)];
              exact += term;
              magnitude += std::abs(term);
            }
            ASSERT_NEAR(get(out, t, o), exact, tolerance.bound(in, exact, magnitude))
                << name(isa()) << " " << name(dtype) << " rows " << rows;
          }
        }
      }
    }
  }
}

TEST_P(MatmulAtEveryLevel, ARowDecodedAloneHasTheBitsOfTheSameRowAmongForty) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(4);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const RandomMatrix x(40, 1301, dtype, random), weight(77, 1301, dtype, random);
    const Tensor together = Tensor::empty({40, 77}, DType::f32);
    linear(x.tensor, weight.tensor, {}, together);
    for (int64_t t = 0; t < 40; ++t) {
      const Tensor alone = Tensor::empty({1, 77}, DType::f32);
      linear(x.tensor.slice(0, t, t + 1), weight.tensor, {}, alone);
      for (int64_t o = 0; o < 77; ++o) {
        ASSERT_EQ(get(alone, 0, o), get(together, t, o)) << name(isa()) << " row " << t;
      }
    }
  }
}

TEST_P(MatmulAtEveryLevel, BitsDoNotDependOnTheNumberOfThreads) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(5);
  const int before = num_threads();
  for (const int64_t rows : {2, 150}) {
    const RandomMatrix a(rows, 1200, DType::bf16, random), b(320, 1200, DType::bf16, random);
    const Tensor one = Tensor::zeros({rows, 320}, DType::f32), three = one.clone();
    set_num_threads(1);
    matmul(a.tensor, b.tensor, one, {.transpose_b = true});
    set_num_threads(3);
    matmul(a.tensor, b.tensor, three, {.transpose_b = true});
    set_num_threads(before);
    for (int64_t i = 0; i < one.elements(); ++i) {
      ASSERT_EQ(one.data<float>()[i], three.data<float>()[i]) << name(isa());
    }
  }
}

// The exact gradient of sum(out * d_out): d_x, and d_weight and d_bias added to what they held.
TEST_P(MatmulAtEveryLevel, LinearBackwardEqualsDouble) {
  const ScopedIsa level(GetParam());
  std::mt19937 random(6);
  const int64_t rows = 139, in = 45, outs = 67;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    const RandomMatrix x(rows, in, dtype, random), weight(outs, in, dtype, random);
    const RandomMatrix d_out(rows, outs, dtype, random);
    const RandomMatrix d_weight(outs, in, wide, random), d_bias(1, outs, wide, random);
    const Tensor d_x = Tensor::empty({rows, in}, wide);
    linear_backward(x.tensor, weight.tensor, d_out.tensor, d_x, d_weight.tensor,
                    Tensor::borrow(d_bias.tensor.raw(), {outs}, wide));
    const Tolerance tolerance(dtype, wide);
    const auto expect = [&](double got, double start, int64_t terms, auto term) {
      double exact = start, magnitude = std::abs(start);
      for (int64_t i = 0; i < terms; ++i) {
        exact += term(i);
        magnitude += std::abs(term(i));
      }
      ASSERT_NEAR(got, exact, tolerance.bound(terms, exact, magnitude)) << name(isa());
    };
    const auto value = [](const RandomMatrix& m, int64_t i, int64_t j) {
      return m.values[static_cast<size_t>(i * m.tensor.dim(1) + j)];
    };
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t t = 0; t < rows; ++t) {
        expect(get(d_x, t, i), 0, outs,
               [&](int64_t o) { return value(d_out, t, o) * value(weight, o, i); });
      }
      for (int64_t o = 0; o < outs; ++o) {
        expect(get(d_weight.tensor, o, i), value(d_weight, o, i), rows,
               [&](int64_t t) { return value(d_out, t, o) * value(x, t, i); });
      }
    }
    for (int64_t o = 0; o < outs; ++o) {
      expect(get(d_bias.tensor, 0, o), value(d_bias, 0, o), rows,
             [&](int64_t t) { return value(d_out, t, o); });
    }
  }
}

// oneDNN is asked for at Isa::amx only, but multiplies bf16 here too, with the best that the CPU
// has.
TEST(ProductByOneDnn, EqualsDoubleForEveryLayoutAndWhateverTheThreads) {
  if (!onednn_available()) {
    GTEST_SKIP() << "built without oneDNN";
  }
  std::mt19937 random(7);
  const int before = num_threads();
  for (const DType c_dtype : {DType::f32, DType::bf16}) {
    for (int layout = 0; layout < 4; ++layout) {
      const bool ta = (layout & 1) != 0, tb = (layout & 2) != 0, accumulate = c_dtype == DType::f32;
      const int64_t m = 1031, n = 263, k = 45;
      const RandomMatrix a(ta ? k : m, ta ? m : k, DType::bf16, random);
      const RandomMatrix b(tb ? n : k, tb ? k : n, DType::bf16, random);
      const RandomMatrix c(m, n, c_dtype, random), bias(1, n, DType::f32, random);
      const Tensor again = c.tensor.clone();
      const int64_t lda = a.tensor.stride(0), ldb = b.tensor.stride(0);
      Product p = {.m = m,
                   .n = n,
                   .k = k,
                   .dtype = DType::bf16,
                   .a = a.tensor.raw(),
                   .a_row = ta ? 1 : lda,
                   .a_k = ta ? lda : 1,
                   .b = b.tensor.raw(),
                   .b_k = tb ? 1 : ldb,
                   .b_column = tb ? ldb : 1,
                   .c = c.tensor.raw(),
                   .c_row = c.tensor.stride(0),
                   .c_dtype = c_dtype,
                   .bias = accumulate ? nullptr : bias.tensor.data<float>(),
                   .alpha = accumulate ? 0.37F : 1.0F,
                   .accumulate = accumulate};
      set_num_threads(1);
      multiply_by_onednn(p, c.tensor.arena());
      p.c = again.raw();
      p.c_row = again.stride(0);
      set_num_threads(3);
      multiply_by_onednn(p, c.tensor.arena());
      set_num_threads(before);
      const Tolerance tolerance(DType::bf16, c_dtype);
      for (int64_t i = 0; i < m; i += 6) {
        for (int64_t j = 0; j < n; ++j) {
          const auto at = static_cast<size_t>(i * n + j);
          double exact = accumulate ? c.values[at] : bias.values[static_cast<size_t>(j)];
          double magnitude = std::abs(exact);
          for (int64_t s = 0; s < k; ++s) {
            const double term = p.alpha *
                                a.values[static_cast<size_t>(ta ? s * m + i : i * k + s)] *
                                b.values[static_cast<size_t>(tb ? j * k + s : s * n + j)];
            exact += term;
            magnitude += std::abs(term);
          }
          ASSERT_NEAR(get(c.tensor, i, j), exact, tolerance.bound(k, exact, magnitude));
          ASSERT_EQ(get(c.tensor, i, j), get(again, i, j)) << "depends on the number of threads";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, MatmulAtEveryLevel, ::testing::ValuesIn(available_isas()),
                         [](const auto& level) { return std::string(name(level.param)); });

TEST(Matmul, SaysWhichOperandDoesNotFit) {
  const Tensor a = Tensor::zeros({3, 4}, DType::f32), c = Tensor::zeros({3, 2}, DType::f32);
  EXPECT_EQ(fault([&] {
              matmul(a, Tensor::zeros({5, 2}, DType::f32), c);
            }),
            "[matmul] b: expected (4, 2), got (5, 2)");
  EXPECT_THROW(matmul(a, Tensor::zeros({4, 2}, DType::bf16), c), Error);
  EXPECT_THROW(matmul(a, Tensor::zeros({4, 2}, DType::f32), Tensor::zeros({3, 2}, DType::bf16),
                      {.accumulate = true}),
               Error);
}

TEST(Matmul, OnMetaTensorsOnlyTheCostIsCounted) {
  Arena& meta = default_arena(Device::meta);
  const Tensor x = Tensor::empty({100, 200}, DType::bf16, meta);
  const Tensor weight = Tensor::empty({300, 200}, DType::bf16, meta);
  const Tensor out = Tensor::empty({100, 300}, DType::f32, meta);
  Cost cost;
  {
    const ScopedCostMeter meter(cost);
    linear(x, weight, {}, out);
  }
  EXPECT_EQ(cost.matrix_flops, 2.0 * 100 * 200 * 300);
  EXPECT_EQ(cost.weight_bytes, 300 * 200 * 2);
  EXPECT_EQ(cost.activation_bytes, 100 * 200 * 2 + 100 * 300 * 4);
}

}  // namespace
}  // namespace sambay::ops
