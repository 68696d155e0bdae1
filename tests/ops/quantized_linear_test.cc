#include "ops/quantized_linear.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/threads.h"
#include "op_test_util.h"
#include "ops/cost.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/ref/quantized_linear.h"
#include "support/fault.h"

namespace sambay::ops {
namespace {

using sambay::testing::fault;
using testing::converted;
using testing::for_each_isa;
using ::testing::HasSubstr;
using testing::Random;
using testing::random_tensor;
using testing::relative_error;
using testing::values_of;

QuantizedMatrix quantized(const Tensor& weights, int bits) {
  const auto out =
      QuantizedMatrix::empty(weights.dim(0), weights.dim(1), bits, default_arena(Device::cpu));
  quantize(weights, out);
  return out;
}

std::vector<uint8_t> bytes_of(const QuantizedMatrix& matrix) {
  const auto* data = matrix.data.data<uint8_t>();
  return {data, data + matrix.data.elements()};
}

Tensor dequantized(const QuantizedMatrix& matrix) {
  const Tensor out = Tensor::empty(matrix.shape(), DType::f32);
  dequantize(matrix, out);
  return out;
}

struct Size {
  int64_t outs, in;
};
// Whole blocks and records; less than one; a bit more; an odd number of groups.
constexpr Size sizes[] = {{32, 128}, {1, 1}, {17, 65}, {40, 96}, {5, 200}};

TEST(Quantize, MakesTheSameBytesAtEveryInstructionSet) {
  Random random(1);
  for (const int bits : {8, 4}) {
    for (const auto& size : sizes) {
      const int64_t outs = size.outs, in = size.in;
      const Tensor weights = random_tensor(random, {outs, in}, DType::f32);
      std::vector<uint8_t> expected;
      for_each_isa([&](const std::string&) {
        const auto bytes = bytes_of(quantized(weights, bits));
        expected = expected.empty() ? bytes : expected;
        EXPECT_EQ(bytes, expected) << bits << " bits, " << outs << " by " << in;
      });
    }
  }
}

TEST(Quantize, LosesNoMoreThanHalfAStepOfTheLargestWeight) {
  Random random(2);
  for (const int bits : {8, 4}) {
    const Tensor weights = random_tensor(random, {33, 100}, DType::f32);
    const QuantizedMatrix matrix = quantized(weights, bits);
    const auto exact = values_of(weights), got = values_of(dequantized(matrix));
    double steps = 0;
    for (int64_t row = 0; row < 33; ++row) {
      for (int64_t begin = 0; begin < 100; begin += quantized_group) {
        const auto first = static_cast<size_t>(row * 100 + begin);
        const auto count = static_cast<size_t>(std::min(quantized_group, 100 - begin));
        double largest = 0, error = 0;
        for (size_t i = first; i < first + count; ++i) {
          largest = std::max(largest, std::abs(exact[i]));
          error += (exact[i] - got[i]) * (exact[i] - got[i]);
        }
        // As if every weight were half a step off, of the plain scale rounded to bf16.
        const double half_step = largest / (bits == 8 ? 127 : 7) * (1 + 0x1p-8) / 2;
        EXPECT_LE(error, static_cast<double>(count) * half_step * half_step);
        steps += half_step;
      }
    }
    EXPECT_GT(steps, 0);
  }
}

TEST(Quantize, SearchesForABetterScaleThanThatOfTheLargestWeight) {
  Random random(3);
  const Tensor weights = Tensor::empty({16, 256}, DType::f32);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < weights.elements(); ++i) {
    weights.data<float>()[i] = normal(random);
  }
  double plain = 0, size = 0;
  for (int64_t i = 0; i < weights.elements(); i += quantized_group) {
    float largest = 0;
    for (int64_t k = i; k < i + quantized_group; ++k) {
      largest = std::max(largest, std::abs(weights.data<float>()[k]));
    }
    for (int64_t k = i; k < i + quantized_group; ++k) {
      const float weight = weights.data<float>()[k], scale = largest / 7;
      plain += std::pow(weight - std::nearbyint(weight / scale) * scale, 2);
      size += weight * weight;
    }
  }
  const auto out = QuantizedMatrix::empty(16, 256, 4, default_arena(Device::cpu));
  const QuantizationError error = quantize(weights, out);
  EXPECT_NEAR(error.size, size, 1e-5 * size);
  EXPECT_NEAR(error.relative(), relative_error(dequantized(out), weights), 1e-5);
  EXPECT_LT(error.difference, 0.85 * plain);
}

// The figures of docs/results/quantization.md.
TEST(Quantize, CostsMoreTheHeavierTheTailsOfTheWeights) {
  Random random(5);
  const auto error = [](auto draw, int bits) {
    const Tensor weights = Tensor::empty({64, 1024}, DType::f32);
    for (int64_t i = 0; i < weights.elements(); ++i) {
      weights.data<float>()[i] = static_cast<float>(draw());
    }
    return quantize(weights, QuantizedMatrix::empty(64, 1024, bits, default_arena(Device::cpu)))
        .relative();
  };
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::normal_distribution<double> normal;
  std::student_t_distribution<double> student(5);
  constexpr double near = 0.02;  // of samples of this size
  for (const auto& [bits, of_uniform, of_normal, of_student] :
       {std::tuple{8, 0.00355, 0.00513, 0.00655}, {4, 0.0590, 0.0810, 0.1032}}) {
    EXPECT_NEAR(error([&] { return uniform(random); }, bits) / of_uniform, 1, near);
    EXPECT_NEAR(error([&] { return normal(random); }, bits) / of_normal, 1, near);
    EXPECT_NEAR(error([&] { return student(random); }, bits) / of_student, 1, near);
  }
}

TEST(Quantize, ReportsItsErrorAtEveryInstructionSet) {
  Random random(4);
  const Tensor weights = random_tensor(random, {20, 70}, DType::bf16);
  for_each_isa([&](const std::string&) {
    for (const int bits : {8, 4}) {
      const auto out = QuantizedMatrix::empty(20, 70, bits, default_arena(Device::cpu));
      const double reported = quantize(weights, out).relative();
      EXPECT_NEAR(reported, relative_error(dequantized(out), weights), 1e-5 * reported);
    }
  });
}

TEST(Quantize, KeepsZerosAndWhatIsExactlyRepresentable) {
  for_each_isa([&](const std::string&) {
    for (const int bits : {8, 4}) {
      const Tensor weights = Tensor::zeros({3, 96}, DType::f32);
      for (int i = 0; i < 32; ++i) {
        weights.data<float>()[96 + i] = static_cast<float>(i % 16 - 8) * 0.25F;  // -8 to 7 steps
        weights.data<float>()[192 + i] = static_cast<float>(8 - i % 16) * 3.0F;  // 8 to -7 steps
      }
      const auto out = QuantizedMatrix::empty(3, 96, bits, default_arena(Device::cpu));
      const double error = quantize(weights, out).relative();
      EXPECT_LT(error, bits == 4 ? 1e-30 : 5e-3);
      const auto got = values_of(dequantized(out));
      EXPECT_EQ(std::count(got.begin(), got.end(), 0.0),
                std::count_if(got.begin(), got.end(), [](double x) { return x == 0; }));
      for (size_t i = 0; i < 96; ++i) {
        EXPECT_EQ(got[i], 0);
      }
    }
  });
}

TEST(Quantize, TakesVerySmallAndVeryLargeWeights) {
  for_each_isa([&](const std::string&) {
    for (const float size : {1e-30F, 1e-12F, 1e12F, 1e18F}) {
      const Tensor weights = Tensor::empty({1, 32}, DType::f32);
      for (int i = 0; i < 32; ++i) {
        weights.data<float>()[i] = size * static_cast<float>(i - 16) / 16;
      }
      // Squares of 1e-30 are zero: any scale is as good as another, but the largest weight fits.
      EXPECT_LT(relative_error(dequantized(quantized(weights, 8)), weights), 0.006) << size;
      EXPECT_LT(relative_error(dequantized(quantized(weights, 4)), weights),
                size < 1e-20 ? 0.3 : 0.07)
          << size;
    }
  });
}

TEST(Quantize, RefusesWhatIsNotFiniteByItsPlace) {
  for (const float bad : {NAN, INFINITY, -INFINITY, 0x1p60F}) {
    const Tensor weights = Tensor::zeros({20, 40}, DType::f32);
    weights.data<float>()[18 * 40 + 7] = bad;
    EXPECT_THAT(fault([&] { quantized(weights, 8); }),
                HasSubstr("[quantize] row 18, column 7: expected a finite number"));
  }
}

// sum over k of w x for integers that make every sum as large as it can be.
TEST(QuantizedLinear, AddsIntegersExactlyAtTheExtremes) {
  constexpr int64_t in = 64;
  for (const int bits : {8, 4}) {
    const double low = bits == 8 ? -127 : -8, high = bits == 8 ? 127 : 7;
    for (const double sign : {1.0, -1.0}) {
      const Tensor weights = Tensor::empty({16, in}, DType::f32);
      const Tensor x = Tensor::empty({1, in}, DType::f32);
      double expected[16] = {};
      for (int64_t k = 0; k < in; ++k) {
        const double q = k % 3 == 0 ? -127 : 127;
        x.data<float>()[k] = static_cast<float>(q);
        for (int64_t o = 0; o < 16; ++o) {
          // Rows from all as large as they are to all alternating.
          const double w =
              k % (o + 1) == 0 ? (q * sign > 0 ? high : low) : (o % 2 == 0 ? low : high);
          weights.data<float>()[o * in + k] = static_cast<float>(w);
          expected[o] += q * w;
        }
      }
      const QuantizedMatrix matrix = quantized(weights, bits);
      ASSERT_EQ(relative_error(dequantized(matrix), weights), 0) << bits;
      for_each_isa([&](const std::string&) {
        const Tensor out = Tensor::empty({1, 16}, DType::f32);
        quantized_linear(x, matrix, {}, out);
        for (int64_t o = 0; o < 16; ++o) {
          EXPECT_EQ(out.data<float>()[o], expected[o]) << bits << " bits, row " << o;
        }
      });
    }
  }
}

// x as the op rounds it, in double.
Tensor rounded_input(const Tensor& x) {
  const Tensor values = converted(x, DType::f32);
  for (int64_t row = 0; row < x.dim(0); ++row) {
    for (int64_t k = 0; k < x.dim(1); k += quantized_group) {
      float* at = values.data<float>() + row * x.dim(1) + k;
      const auto count = static_cast<size_t>(std::min(quantized_group, x.dim(1) - k));
      const auto group = ref::quantize_input({at, count});
      for (size_t i = 0; i < count; ++i) {
        at[i] = static_cast<float>(group.q[i]) * group.scale;
      }
    }
  }
  return values;
}

Tensor product_in_double(const Tensor& x, const Tensor& weights, const Tensor& bias) {
  const Tensor out = Tensor::empty({x.dim(0), weights.dim(0)}, DType::f64);
  linear(converted(x, DType::f64), converted(weights, DType::f64),
         bias.defined() ? converted(bias, DType::f64) : Tensor(), out);
  return out;
}

class QuantizedLinearSizes : public ::testing::TestWithParam<Size> {};

TEST_P(QuantizedLinearSizes, OfFewRowsMultipliesTheRoundedInput) {
  const int64_t outs = GetParam().outs, in = GetParam().in;
  Random random(5);
  for (const int bits : {8, 4}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const QuantizedMatrix matrix = quantized(random_tensor(random, {outs, in}, DType::f32), bits);
      const Tensor weights = dequantized(matrix);
      const Tensor bias = random_tensor(random, {outs}, DType::f32);
      for (const int64_t rows : {1, 2, 3, 5, 32}) {
        const Tensor x = random_tensor(random, {rows, in}, dtype);
        const Tensor expected = product_in_double(rounded_input(x), weights, bias);
        std::vector<double> bits_of_result;
        for_each_isa([&](const std::string&) {
          const Tensor out = Tensor::empty({rows, outs}, DType::f32);
          quantized_linear(testing::with_strided_rows(x), matrix, bias, out);
          EXPECT_LE(relative_error(out, expected),
                    testing::tolerance(DType::f32, 2 + static_cast<double>(in) / 16))
              << rows;
          bits_of_result = bits_of_result.empty() ? values_of(out) : bits_of_result;
          EXPECT_EQ(values_of(out), bits_of_result) << rows << " rows";
          const Tensor narrow = Tensor::empty({rows, outs}, DType::bf16);
          quantized_linear(x, matrix, bias, narrow);
          EXPECT_EQ(values_of(narrow), values_of(converted(out, DType::bf16)));
        });
      }
    }
  }
}

TEST_P(QuantizedLinearSizes, OfManyRowsMultipliesTheRoundedWeights) {
  const int64_t outs = GetParam().outs, in = GetParam().in;
  Random random(6);
  for (const int bits : {8, 4}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const QuantizedMatrix matrix = quantized(random_tensor(random, {outs, in}, DType::f32), bits);
      const Tensor weights = Tensor::empty({outs, in}, dtype);
      dequantize(matrix, weights);
      const Tensor bias = random_tensor(random, {outs}, DType::f32);
      const Tensor x = random_tensor(random, {37, in}, dtype);
      const Tensor expected = product_in_double(x, weights, bias);
      for_each_isa([&](const std::string&) {
        const Tensor out = Tensor::empty({37, outs}, DType::f32);
        quantized_linear(x, matrix, bias, out);
        EXPECT_LE(relative_error(out, expected),
                  testing::tolerance(DType::f32, 4 + static_cast<double>(in)));
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, QuantizedLinearSizes, ::testing::ValuesIn(sizes),
                         [](const auto& test) {
                           return std::to_string(test.param.outs) + "_by_" +
                                  std::to_string(test.param.in);
                         });

TEST(QuantizedLinear, OfASliceIsAPartOfTheWhole) {
  Random random(7);
  for (const int bits : {8, 4}) {
    const QuantizedMatrix matrix = quantized(random_tensor(random, {70, 80}, DType::f32), bits);
    for (const int64_t rows : {3, 40}) {
      const Tensor x = random_tensor(random, {rows, 80}, DType::bf16);
      for_each_isa([&](const std::string&) {
        const Tensor whole = Tensor::empty({rows, 70}, DType::f32);
        quantized_linear(x, matrix, {}, whole);
        const auto expect_part = [&](const QuantizedMatrix& part, int64_t begin) {
          const Tensor out = Tensor::empty({rows, part.rows}, DType::f32);
          quantized_linear(x, part, {}, out);
          EXPECT_EQ(values_of(out), values_of(whole.slice(1, begin, begin + part.rows))) << begin;
        };
        expect_part(matrix.slice(16, 48), 16);
        expect_part(matrix.slice(5, 7), 5);
        expect_part(matrix.slice(9, 70), 9);
        expect_part(matrix.slice(9, 70).slice(10, 40), 19);
      });
    }
  }
}

TEST(QuantizedLinear, DoesNotDependOnThreadsOrOtherRows) {
  Random random(8);
  const QuantizedMatrix matrix = quantized(random_tensor(random, {700, 640}, DType::f32), 8);
  const Tensor x = random_tensor(random, {16, 640}, DType::bf16);
  const Tensor out = Tensor::empty({16, 700}, DType::f32);
  quantized_linear(x, matrix, {}, out);
  const int threads = num_threads();
  for (const int count : {1, 3}) {
    set_num_threads(count);
    const Tensor again = Tensor::empty({16, 700}, DType::f32);
    quantized_linear(x, matrix, {}, again);
    EXPECT_EQ(values_of(again), values_of(out)) << count;
    const Tensor row = Tensor::empty({1, 700}, DType::f32);
    quantized_linear(x.slice(0, 9, 10), matrix, {}, row);
    EXPECT_EQ(values_of(row), values_of(out.slice(0, 9, 10)));
  }
  set_num_threads(threads);
}

TEST(QuantizedLinear, CarriesWhatIsNotFinite) {
  Random random(9);
  const QuantizedMatrix matrix = quantized(random_tensor(random, {20, 64}, DType::f32), 4);
  for_each_isa([&](const std::string&) {
    for (const float bad : {NAN, INFINITY}) {
      const Tensor x = random_tensor(random, {2, 64}, DType::f32);
      x.data<float>()[40] = bad;
      const Tensor out = Tensor::empty({2, 20}, DType::f32);
      quantized_linear(x, matrix, {}, out);
      for (int64_t o = 0; o < 20; ++o) {
        EXPECT_TRUE(std::isnan(out.data<float>()[o]));
        EXPECT_TRUE(std::isfinite(out.data<float>()[20 + o]));
      }
    }
  });
}

TEST(QuantizedLinear, CountsTheBytesThatAreStored) {
  for (const auto& [bits, bytes] : {std::pair{8, 2 * 1088.0}, std::pair{4, 2 * 576.0}}) {
    Arena arena(Device::meta);
    const auto matrix = QuantizedMatrix::empty(16, 100, bits, arena);
    const Tensor out = Tensor::empty({3, 16}, DType::f32, arena);
    Cost cost;
    {
      const ScopedCostMeter meter(cost);
      quantized_linear(Tensor::empty({3, 100}, DType::bf16, arena), matrix, {}, out);
    }
    EXPECT_EQ(cost.weight_bytes, bytes);
    EXPECT_EQ(cost.matrix_flops, 2.0 * 3 * 16 * 100);
  }
}

TEST(QuantizedLinear, RefusesWhatDoesNotFit) {
  Random random(10);
  const QuantizedMatrix matrix = quantized(random_tensor(random, {20, 64}, DType::f32), 8);
  const Tensor out = Tensor::empty({2, 20}, DType::f32);
  const auto message = [&](const Tensor& x, const Tensor& bias, const Tensor& to) {
    return fault([&] { quantized_linear(x, matrix, bias, to); });
  };
  EXPECT_THAT(message(Tensor::zeros({2, 63}, DType::f32), {}, out),
              HasSubstr("[quantized_linear] x: expected"));
  EXPECT_THAT(message(Tensor::zeros({2, 64}, DType::f64), {}, out), HasSubstr("x: expected f32"));
  EXPECT_THAT(message(Tensor::zeros({2, 64}, DType::f32), Tensor::zeros({19}, DType::f32), out),
              HasSubstr("bias: expected (20), got (19)"));
  EXPECT_THAT(message(Tensor::zeros({3, 64}, DType::f32), {}, out), HasSubstr("out: expected"));
}

TEST(QuantizedEmbedding, GivesTheRowsOfTheTable) {
  Random random(11);
  const QuantizedMatrix table = quantized(random_tensor(random, {50, 40}, DType::f32), 8);
  const Tensor all = dequantized(table);
  const std::vector<int32_t> ids = {49, 0, 17, 17};
  const Tensor out = Tensor::empty({4, 40}, DType::f32);
  embedding(ids, table, out);
  for (size_t t = 0; t < ids.size(); ++t) {
    const auto at = static_cast<int64_t>(t);
    EXPECT_EQ(values_of(out.slice(0, at, at + 1)), values_of(all.slice(0, ids[t], ids[t] + 1)));
  }
  const std::vector<int32_t> bad = {50};
  EXPECT_THAT(fault([&] { embedding(bad, table, out.slice(0, 0, 1)); }),
              HasSubstr("ids[0]: expected 0 to 49, got 50"));
}

}  // namespace
}  // namespace sambay::ops
