#include "formats/cast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sambay {
namespace {

// More than one thread's share.
constexpr int64_t count = 200'001;

std::vector<float> some_numbers() {
  std::vector<float> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(
        std::ldexp(static_cast<float>(i % 4099 - 2049), static_cast<int>(i % 24) - 20));
  }
  return numbers;
}

Tensor cast_to(const Tensor& from, DType dtype) {
  const Tensor to = Tensor::empty(from.shape(), dtype);
  EXPECT_TRUE(cast(from, to));
  return to;
}

TEST(Cast, WidensExactlyAndRoundsAsTheTypesDo) {
  const auto numbers = some_numbers();
  const Tensor f32 = Tensor::from<float>(numbers, {count});
  const Tensor bf16 = cast_to(f32, DType::bf16), f16 = cast_to(f32, DType::f16);
  const Tensor from_bf16 = cast_to(bf16, DType::f32), from_f16 = cast_to(f16, DType::f64);
  const Tensor between = cast_to(f16, DType::bf16);
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(bf16.data<Bf16>()[i].bits, to_bf16(numbers[i]).bits);
    ASSERT_EQ(f16.data<F16>()[i].bits, to_f16(numbers[i]).bits);
    ASSERT_EQ(from_bf16.data<float>()[i], to_float(to_bf16(numbers[i])));
    ASSERT_EQ(from_f16.data<double>()[i], static_cast<double>(to_float(to_f16(numbers[i]))));
    ASSERT_EQ(between.data<Bf16>()[i].bits, to_bf16(to_float(to_f16(numbers[i]))).bits);
  }
}

TEST(Cast, SaysWhenANumberIsTooLarge) {
  const auto fits = [](std::vector<float> numbers, DType dtype) {
    const Tensor from = Tensor::from<float>(numbers, {2});
    return cast(from, Tensor::empty({2}, dtype));
  };
  EXPECT_TRUE(fits({1, 65504}, DType::f16));
  EXPECT_FALSE(fits({1, -65520}, DType::f16));
  EXPECT_TRUE(fits({1, 65520}, DType::bf16));
  EXPECT_TRUE(fits({INFINITY, NAN}, DType::f16));
  EXPECT_FALSE(fits({3.4e38F, 1}, DType::bf16));
}

TEST(Cast, CopiesEqualTypesBitByBit) {
  const std::vector<F16> halves = {{0x7c01}, {0xfe00}};  // a signalling and a quiet NaN
  const Tensor copy = cast_to(Tensor::from<F16>(halves, {2}), DType::f16);
  EXPECT_EQ(copy.data<F16>()[0].bits, 0x7c01);
  EXPECT_EQ(copy.data<F16>()[1].bits, 0xfe00);
}

}  // namespace
}  // namespace sambay
