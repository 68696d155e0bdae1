#include "ops/kv_store.h"

#include <gtest/gtest.h>

#include "ops/op_test_util.h"
#include "support/kv_rows.h"

namespace sambay::ops {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

// Rows 2 and 3 go to the last two of four slots, row 5 to the first: a ring that wraps.
TEST(KvStore, RowsArriveWhereTheTargetsSay) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Random random(1);
    const Tensor k = with_strided_rows(random_tensor(random, {6, 2, 3}, dtype));
    const Tensor v = random_tensor(random, {6, 2, 3}, dtype);
    // k as (slot, head, d), v as (head, slot, d).
    const Tensor k_ring = Tensor::zeros({4, 2, 3}, dtype), v_ring = Tensor::zeros({2, 4, 3}, dtype);
    const auto target = [&](int64_t row, int64_t count, int64_t slot) {
      return KvTarget{
          row, count, k_ring.slice(0, slot, 4).raw(), v_ring.slice(1, slot, 4).raw(), 6, 3, 3, 12};
    };
    const KvTarget targets[] = {target(2, 2, 2), target(5, 1, 0), target(0, 0, 0)};
    kv_store(k, v, targets);
    const auto k_got = values_of(k_ring), v_got = values_of(v_ring);
    const auto k_from = values_of(k), v_from = values_of(v);
    const int64_t row_of_slot[] = {5, -1, 2, 3};
    for (size_t slot = 0; slot < 4; ++slot) {
      for (size_t head = 0; head < 2; ++head) {
        for (size_t x = 0; x < 3; ++x) {
          const int64_t row = row_of_slot[slot];
          const size_t from = static_cast<size_t>(std::max<int64_t>(row, 0)) * 6 + head * 3 + x;
          EXPECT_EQ(k_got[slot * 6 + head * 3 + x], row < 0 ? 0.0 : k_from[from]);
          EXPECT_EQ(v_got[head * 12 + slot * 3 + x], row < 0 ? 0.0 : v_from[from]);
        }
      }
    }
  }
}

TEST(KvStore, ManyRowsAreSharedByThreads) {
  Random random(2);
  const Tensor k = random_tensor(random, {3000, 2, 64}, DType::f32);
  const Tensor v = random_tensor(random, {3000, 2, 64}, DType::f32);
  const Tensor k_to = Tensor::zeros(k.shape(), k.dtype()),
               v_to = Tensor::zeros(k.shape(), k.dtype());
  const KvTarget targets[] = {{0, 1000, k_to.raw(), v_to.raw(), 128, 64, 128, 64},
                              {1000, 2000, k_to.slice(0, 1000, 3000).raw(),
                               v_to.slice(0, 1000, 3000).raw(), 128, 64, 128, 64}};
  kv_store(k, v, targets);
  EXPECT_EQ(relative_error(k_to, k), 0.0);
  EXPECT_EQ(relative_error(v_to, v), 0.0);
}

// Tokens come one by one, in chunks and in many tiles at once; what no token holds is zero.
TEST(KvStore, TilesHoldEveryTokenAndZeros) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const int64_t d : {1, 7, 16, 80}) {
      Random random(3);
      constexpr int64_t tokens = 9 * tile_keys + 5, heads = 4, tile_heads = 2;
      const Tensor k = with_strided_rows(random_tensor(random, {tokens, heads, d}, dtype));
      const Tensor v = random_tensor(random, {tokens, heads, d}, dtype);
      const KvTile tile(dtype, d, tile_heads);
      const Tensor tiles = random_tensor(random, {heads / tile_heads, 10, tile.elements()}, dtype);
      const auto tiles_from = [&](int64_t position) {
        return KvTiles{tiles.slice(1, position / tile_keys, 10).raw(), tile_heads, tiles.stride(0)};
      };
      for (int64_t first = 0, count = 1; first < tokens; first += count, count = count * 3 + 1) {
        count = std::min(count, tokens - first);
        const KvTarget target = {
            .row_begin = first, .count = count, .tiles = tiles_from(first), .first = first};
        kv_store(k, v, std::span(&target, 1));
      }
      const KvSpan span = {.first = 0, .count = tokens, .tiles = tiles_from(0)};
      const auto rows = sambay::testing::rows_of(span, dtype, heads, d);
      EXPECT_EQ(relative_error(rows.k, k), 0.0);
      EXPECT_EQ(relative_error(rows.v, v), 0.0);
      const auto all = values_of(tiles);
      EXPECT_EQ(std::count_if(all.begin(), all.end(), [](double x) { return x != 0; }),
                tokens * heads * d * 2);
    }
  }
}

// A key by itself, the values of a pair of heads together; what no token holds is zero.
TEST(KvStore, TilesOf8BitsRoundToTheNearest) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t d : {1, 7, 16, 80}) {
      Random random(4);
      constexpr int64_t tokens = 2 * tile_keys + 5, heads = 4, tile_heads = 2;
      const Tensor k = with_strided_rows(random_tensor(random, {tokens, heads, d}, dtype));
      const Tensor v = random_tensor(random, {tokens, heads, d}, dtype);
      const KvTile tile(DType::u8, d, tile_heads);
      const Tensor tiles = Tensor::empty({heads / tile_heads, 3, tile.elements()}, DType::u8);
      std::fill_n(tiles.data<uint8_t>(), tiles.elements(), uint8_t{77});
      const auto tiles_from = [&](int64_t position) {
        return KvTiles{tiles.slice(1, position / tile_keys, 3).raw(), tile_heads, tiles.stride(0)};
      };
      for (int64_t first = 0, count = 1; first < tokens; first += count, count = count * 3 + 1) {
        count = std::min(count, tokens - first);
        const KvTarget target = {.row_begin = first,
                                 .count = count,
                                 .tiles = tiles_from(first),
                                 .first = first,
                                 .eight_bits = true};
        kv_store(k, v, std::span(&target, 1));
      }
      const KvSpan whole = {.first = 0, .count = 3 * tile_keys, .tiles = tiles_from(0)};
      const auto rows = sambay::testing::rows_of_8_bits(whole, heads, d);
      const auto check_rows = [&](const Tensor& kept, const Tensor& given, int64_t together) {
        const auto got = values_of(kept), from = values_of(given);
        for (int64_t i = 0; i < 3 * tile_keys * heads * d; i += together) {
          double largest = 0;
          for (int64_t x = i; x < i + together && x < tokens * heads * d; ++x) {
            largest = std::max(largest, std::abs(from[static_cast<size_t>(x)]));
          }
          for (int64_t x = i; x < i + together; ++x) {
            const auto at = static_cast<size_t>(x);
            const double expected = x < tokens * heads * d ? from[at] : 0.0;
            EXPECT_NEAR(got[at], expected, largest / 127 * 0.50001);
          }
        }
      };
      check_rows(rows.k, k, d);
      check_rows(rows.v, v, tile_heads * d);
    }
  }
}

TEST(KvStore, VectorsWithoutAFiniteSizeAreNotANumberIn8Bits) {
  const Tensor k = Tensor::zeros({3, 1, 4}, DType::f32), v = k.clone();
  k.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  v.data<float>()[10] = std::numeric_limits<float>::infinity();
  const KvTile tile(DType::u8, 4, 1);
  const Tensor tiles = Tensor::empty({1, 1, tile.elements()}, DType::u8);
  const KvTarget target = {.count = 3, .tiles = {tiles.raw(), 1, 0}, .eight_bits = true};
  kv_store(k, v, std::span(&target, 1));
  const auto* k_scales = reinterpret_cast<const float*>(tiles.raw());
  const float* v_scales = k_scales + tile_keys;
  EXPECT_EQ(k_scales[0], 0.0F);
  EXPECT_TRUE(std::isnan(k_scales[1]));
  EXPECT_EQ(v_scales[1], 0.0F);
  EXPECT_TRUE(std::isnan(v_scales[2]));
}

}  // namespace
}  // namespace sambay::ops
