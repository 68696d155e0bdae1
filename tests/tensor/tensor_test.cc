#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace sambay {
namespace {

Tensor counting(Shape shape) {
  std::vector<int32_t> values(static_cast<size_t>(shape.elements()));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from<int32_t>(values, shape);
}

std::vector<int32_t> values_of(const Tensor& t) {
  const Tensor flat = t.clone();
  return {flat.data<int32_t>(), flat.data<int32_t>() + flat.elements()};
}

TEST(Shape, KnowsItsElementsAndItsText) {
  EXPECT_EQ(Shape({2, 3, 4}).elements(), 24);
  EXPECT_EQ(Shape({}).elements(), 1);
  EXPECT_EQ(Shape({5, 0}).elements(), 0);
  EXPECT_EQ(Shape({1024, 16}).text(), "(1024, 16)");
  EXPECT_EQ(Shape({2, 3})[-1], 3);
  EXPECT_FALSE(Shape({2, 3}) == Shape({2, 3, 1}));
}

TEST(Tensor, ASliceIsAViewOfTheSameElements) {
  const Tensor t = counting({4, 6});
  const Tensor block = t.slice(0, 1, 3).slice(1, 2, 5);
  EXPECT_EQ(block.shape(), Shape({2, 3}));
  EXPECT_EQ(block.stride(0), 6);
  EXPECT_FALSE(block.contiguous());
  EXPECT_EQ(values_of(block), (std::vector<int32_t>{8, 9, 10, 14, 15, 16}));
  block.data<int32_t>()[0] = -1;
  EXPECT_EQ(t.data<int32_t>()[8], -1);
}

TEST(Tensor, OneRowOfAStridedBlockIsContiguous) {
  const Tensor t = counting({4, 6});
  EXPECT_TRUE(t.slice(0, 2, 3).slice(1, 1, 4).contiguous());
  EXPECT_TRUE(t.slice(0, 1, 3).contiguous());
}

TEST(Tensor, StridedCopiesAndZerosTouchTheirBlockOnly) {
  const Tensor from = counting({2, 3, 4}), to = Tensor::zeros({3, 4, 5}, DType::i32);
  const Tensor hole = to.slice(0, 1, 3).slice(1, 0, 3).slice(2, 1, 5);
  hole.copy_from(from);
  EXPECT_EQ(values_of(hole), values_of(from));
  const auto all = values_of(to);
  EXPECT_EQ(std::accumulate(all.begin(), all.end(), 0), 23 * 24 / 2);
  hole.slice(2, 0, 2).zero();
  EXPECT_EQ(values_of(to.slice(0, 1, 2).slice(1, 0, 1)), (std::vector<int32_t>{0, 0, 0, 2, 3}));
  // From strided to strided.
  const Tensor other = Tensor::zeros({2, 3, 9}, DType::i32);
  other.slice(2, 3, 7).copy_from(from);
  const Tensor third = Tensor::zeros({2, 3, 7}, DType::i32);
  third.slice(2, 0, 4).copy_from(other.slice(2, 3, 7));
  EXPECT_EQ(values_of(third.slice(2, 0, 4)), values_of(from));
}

TEST(Tensor, SplittingTheLastDimensionKeepsRowsStrided) {
  const Tensor rows = counting({3, 10}).slice(1, 2, 8);
  const Tensor heads = rows.split_last(2);
  EXPECT_EQ(heads.shape(), Shape({3, 2, 3}));
  EXPECT_EQ(heads.stride(0), 10);
  EXPECT_EQ(heads.stride(1), 3);
  EXPECT_EQ(values_of(heads), values_of(rows));
}

TEST(Tensor, EmptyAndScalarTensorsCopy) {
  const Tensor none = Tensor::empty({0, 3}, DType::f32);
  EXPECT_EQ(none.clone().elements(), 0);
  none.zero();
  const std::vector<int32_t> one{7};
  EXPECT_EQ(values_of(Tensor::from<int32_t>(one, {})), one);
}

TEST(Tensor, StorageReturnsToItsArenaWithTheLastView) {
  Arena arena;
  Tensor view;
  {
    const Tensor whole = Tensor::empty({16, 16}, DType::f32, arena);
    view = whole.slice(0, 3, 4);
    EXPECT_EQ(&view.arena(), &arena);
  }
  EXPECT_EQ(arena.bytes_in_use(), 1024U);
  view = Tensor();
  EXPECT_EQ(arena.bytes_in_use(), 0U);
}

TEST(Tensor, BorrowedMemoryKeepsItsOwner) {
  auto owner = std::make_shared<std::vector<float>>(6, 2.5F);
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor t = Tensor::borrow(owner->data(), {2, 3}, DType::f32, owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(t.data<float>()[5], 2.5F);
  t = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, ADryTensorHasShapesAndCostsButNoElements) {
  Arena arena(Device::meta);
  const Tensor t = Tensor::zeros({1 << 20, 1 << 10}, DType::f64, arena);
  EXPECT_EQ(t.raw(), nullptr);
  EXPECT_EQ(arena.bytes_in_use(), size_t{1} << 33);
  const Tensor copy = t.slice(0, 0, 16).clone();
  EXPECT_EQ(copy.device(), Device::meta);
  EXPECT_EQ(arena.peak_bytes(), (size_t{1} << 33) + (size_t{1} << 17));
}

TEST(TensorDeathTest, MisuseIsABug) {
  const Tensor t = counting({2, 3});
  EXPECT_DEATH(static_cast<void>(t.data<float>()), "its own dtype");
  EXPECT_DEATH(static_cast<void>(t.slice(0, 1, 3)), "within its dimension");
  EXPECT_DEATH(static_cast<void>(t.slice(1, 0, 2).reshape({4})), "contiguous");
  EXPECT_DEATH(t.copy_from(counting({3, 2})), "shape and dtype");
}

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0F).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000U)).bits, 0x3f80);  // tie, even below
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000U)).bits, 0x3f82);  // tie, even above
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001U)).bits, 0x3f81);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);  // rounds to infinity
  EXPECT_EQ(to_bf16(-std::numeric_limits<float>::infinity()).bits, 0xff80);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001U)))));
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Bf16 x{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(x))) {
      EXPECT_EQ(to_bf16(to_float(x)).bits, x.bits);
    }
  }
}

}  // namespace
}  // namespace sambay
