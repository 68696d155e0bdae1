// What the tests of the ops share: seeded tensors and segments, norms, finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "ops/dispatch.h"
#include "ops/segments.h"
#include "tensor/tensor.h"

namespace sambay::ops::testing {

using Random = std::mt19937;

// Uniform in [low, high), rounded to the dtype.
inline Tensor random_tensor(Random& random, const Shape& shape, DType dtype, double low = -1,
                            double high = 1) {
  const Tensor values = Tensor::empty(shape, DType::f64);
  std::uniform_real_distribution<double> distribution(low, high);
  for (int64_t i = 0; i < values.elements(); ++i) {
    values.data<double>()[i] = distribution(random);
  }
  const Tensor out = Tensor::empty(shape, dtype);
  convert(values, out);
  return out;
}

// The same values with gaps between the rows: columns of a wider matrix, starting at an odd one.
inline Tensor with_strided_rows(const Tensor& values) {
  Shape wide = values.shape();
  wide.set(-1, wide[-1] + 5);
  const Tensor out =
      Tensor::zeros(wide, values.dtype()).slice(values.rank() - 1, 3, values.dim(-1) + 3);
  out.copy_from(values);
  return out;
}

inline Tensor converted(const Tensor& from, DType dtype) {
  const Tensor out = Tensor::empty(from.shape(), dtype);
  convert(from, out);
  return out;
}

inline std::vector<double> values_of(const Tensor& tensor) {
  const Tensor copy = converted(tensor, DType::f64);
  return {copy.data<double>(), copy.data<double>() + copy.elements()};
}

// `count` segments that cover `rows` rows; some are empty when chance has it so.
inline Segments random_segments(Random& random, int count, int64_t rows) {
  std::vector<int64_t> cuts = {0, rows};
  for (int i = 1; i < count; ++i) {
    cuts.push_back(std::uniform_int_distribution<int64_t>(0, rows)(random));
  }
  std::sort(cuts.begin(), cuts.end());
  Segments out;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    out.add(cuts[i + 1] - cuts[i]);
  }
  return out;
}

// Half the distance from 1 to the next number: the relative error of one rounding.
inline double unit_roundoff(DType dtype) {
  return dtype == DType::f64 ? 0x1p-53 : dtype == DType::f32 ? 0x1p-24 : 0x1p-8;
}

// |got - expected| / |expected| in the Euclidean norm. NaN counts as infinitely wrong.
inline double relative_error(const Tensor& got, const Tensor& expected) {
  const auto a = values_of(got), b = values_of(expected);
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  if (std::isnan(difference)) {
    return std::numeric_limits<double>::infinity();
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

// `roundings` bounds how many roundings to fp32 lie in a row; one more to `dtype` ends them.
inline double tolerance(DType dtype, double roundings) {
  const DType inner = dtype == DType::f64 ? DType::f64 : DType::f32;
  return unit_roundoff(dtype) + roundings * unit_roundoff(inner);
}

inline void expect_close(const Tensor& got, const Tensor& expected, double bound,
                         const std::string& what) {
  EXPECT_LE(relative_error(got, expected), bound) << what;
}

// A backward of `terms` rows that ran twice added the same gradient twice. A level that adds row by
// row to what is there rounds the second time elsewhere.
inline void expect_doubled(const Tensor& twice, const Tensor& once, int64_t terms) {
  const Tensor expected = converted(once, DType::f64);
  for (int64_t i = 0; i < expected.elements(); ++i) {
    expected.data<double>()[i] *= 2;
  }
  expect_close(twice, expected, tolerance(DType::f32, static_cast<double>(terms)), "twice");
}

// Runs body at every instruction set that this machine has, the reference included.
inline void for_each_isa(const std::function<void(const std::string&)>& body) {
  for (const Isa level : available_isas()) {
    const ScopedIsa scope(level);
    SCOPED_TRACE(name(level));
    body(std::string(name(level)));
  }
}

// `gradient` of a scalar function at x (both f64) against central differences, element by element.
// The step balances truncation (h^2) with cancellation (epsilon / h).
inline void expect_gradient(const std::function<double()>& function, const Tensor& x,
                            const Tensor& gradient, const std::string& what) {
  constexpr double step = 6e-6, bound = 1e-8;
  const Tensor numeric = Tensor::empty(x.shape(), DType::f64);
  auto* data = x.data<double>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double before = data[i];
    data[i] = before + step;
    const double above = function();
    data[i] = before - step;
    const double below = function();
    data[i] = before;
    numeric.data<double>()[i] = (above - below) / (2 * step);
  }
  expect_close(gradient, numeric, bound, what);
}

// sum(a * b): a scalar loss whose gradient by a is b.
inline double inner_product(const Tensor& a, const Tensor& b) {
  const auto x = values_of(a), y = values_of(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * y[i];
  }
  return sum;
}

}  // namespace sambay::ops::testing
