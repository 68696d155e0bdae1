#include "ops/elementwise.h"

#include <algorithm>

#include "ops/op_test_util.h"
#include "support/fault.h"

namespace sambay::ops::testing {
namespace {

using sambay::testing::fault;

constexpr double roundings = 12;
const std::vector<Shape> shapes = {{1, 1}, {3, 17}, {5, 64}, {2, 1031}, {0, 4}};

TEST(SiluMul, MatchesTheReferenceForEveryMixtureOfDtypes) {
  Random random(1);
  for (const Shape& shape : shapes) {
    for (const DType gate_type : {DType::f32, DType::bf16}) {
      for (const DType out_type : {DType::f32, DType::bf16}) {
        const Tensor gate = with_strided_rows(random_tensor(random, shape, gate_type, -6, 6));
        const Tensor up = with_strided_rows(random_tensor(random, shape, out_type, -2, 2));
        const Tensor d_out = random_tensor(random, shape, out_type);
        const auto exact = [](const Tensor& t) { return converted(t, DType::f64); };
        const Tensor out = Tensor::empty(shape, DType::f64), d_gate = out.clone(),
                     d_up = out.clone();
        silu_mul(exact(gate), exact(up), out);
        silu_mul_backward(exact(gate), exact(up), exact(d_out), d_gate, d_up);
        for_each_isa([&](const std::string& level) {
          const Tensor got = with_strided_rows(Tensor::zeros(shape, out_type));
          silu_mul(gate, up, got);
          expect_close(got, out, tolerance(out_type, roundings), level);
          const Tensor in_place = up.clone();
          silu_mul(gate, in_place, in_place);
          EXPECT_EQ(values_of(in_place), values_of(got)) << level;
          const Tensor got_gate = Tensor::empty(shape, gate_type), got_up = d_out.clone();
          silu_mul_backward(gate, up, got_up, got_gate, got_up);
          expect_close(got_gate, d_gate, tolerance(gate_type, roundings), level);
          expect_close(got_up, d_up, tolerance(out_type, roundings), level);
          const Tensor alone = Tensor::empty(shape, out_type);
          silu_mul_backward(gate, up, d_out, {}, alone);
          EXPECT_EQ(values_of(alone), values_of(got_up)) << level;
        });
      }
    }
  }
}

TEST(SiluMul, ReferenceGradientIsTheFiniteDifference) {
  Random random(2);
  const Tensor gate = random_tensor(random, {3, 5}, DType::f64, -3, 3);
  const Tensor up = random_tensor(random, {3, 5}, DType::f64);
  const Tensor d_out = random_tensor(random, {3, 5}, DType::f64);
  const Tensor out = d_out.clone(), d_gate = d_out.clone(), d_up = d_out.clone();
  const auto loss = [&] {
    silu_mul(gate, up, out);
    return inner_product(out, d_out);
  };
  silu_mul_backward(gate, up, d_out, d_gate, d_up);
  expect_gradient(loss, gate, d_gate, "gate");
  expect_gradient(loss, up, d_up, "up");
}

TEST(AddScaled, AddsInPlaceAcrossDtypes) {
  Random random(3);
  for (const Shape& shape : shapes) {
    for (const DType branch : {DType::f32, DType::bf16}) {
      const Tensor x = with_strided_rows(random_tensor(random, shape, DType::f32));
      const Tensor y = with_strided_rows(random_tensor(random, shape, branch));
      const Tensor want = Tensor::empty(shape, DType::f64);
      add_scaled(converted(x, DType::f64), converted(y, DType::f64), 0.25F, want);
      for_each_isa([&](const std::string& level) {
        const Tensor stream = with_strided_rows(x);
        add_scaled(stream, y, 0.25F, stream);
        expect_close(stream, want, tolerance(DType::f32, 2), level);
      });
    }
  }
}

TEST(ScaleCast, ConvertsEveryPairOfDtypesAndEveryRank) {
  Random random(4);
  const DType types[] = {DType::f64, DType::f32, DType::bf16};
  for (const Shape& shape : {Shape{7}, Shape{3, 19}, Shape{2, 3, 4}}) {
    for (const DType from : types) {
      for (const DType to : types) {
        const Tensor x = random_tensor(random, shape, from);
        const Tensor want = Tensor::empty(shape, DType::f64);
        scale_cast(converted(x, DType::f64), 3.0F, want);
        for_each_isa([&](const std::string& level) {
          const Tensor got = Tensor::empty(shape, to);
          scale_cast(x, 3.0F, got);
          expect_close(got, want, tolerance(to, 1), level);
        });
      }
    }
  }
}

TEST(SelectRows, TakesTheLastRowsOfEachSegmentAndBackwardScattersThem) {
  Segments all, wanted;
  all.add(3);
  all.add(0);
  all.add(2);
  wanted = suffix(all, {1, 0, 2});
  EXPECT_EQ(wanted.past, (std::vector<int64_t>{2, 0, 0}));
  const std::vector<float> values = {0, 1, 2, 3, 4};
  const Tensor x = with_strided_rows(Tensor::from<float>(values, {5, 1}));
  const Tensor out = Tensor::empty({3, 1}, DType::f32);
  select_rows(x, all, wanted, out);
  EXPECT_EQ(values_of(out), (std::vector<double>{2, 3, 4}));
  const Tensor d_x = with_strided_rows(Tensor::from<float>(values, {5, 1}));
  select_rows_backward(out, all, wanted, d_x);
  EXPECT_EQ(values_of(d_x), (std::vector<double>{0, 0, 2, 3, 4}));
}

TEST(Embedding, GathersRowsAndBackwardSumsThem) {
  Random random(5);
  const std::vector<int32_t> ids = {2, 0, 2, 4, 2};
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const Tensor table = random_tensor(random, {5, 70}, dtype);
    const Tensor out = with_strided_rows(Tensor::zeros({5, 70}, master_dtype(dtype)));
    embedding(ids, table, out);
    const Tensor d_table = Tensor::zeros({5, 70}, master_dtype(dtype));
    embedding_backward(ids, converted(out, dtype), d_table);
    for (int64_t t = 0; t < 5; ++t) {
      const int64_t id = ids[static_cast<size_t>(t)];
      EXPECT_EQ(values_of(out.slice(0, t, t + 1)), values_of(table.slice(0, id, id + 1)));
    }
    for (int64_t id = 0; id < 5; ++id) {
      const auto times = static_cast<double>(std::count(ids.begin(), ids.end(), id));
      auto want = values_of(table.slice(0, id, id + 1));
      const auto got = values_of(d_table.slice(0, id, id + 1));
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(got[i], times * want[i], 3 * unit_roundoff(master_dtype(dtype)));
      }
    }
  }
}

TEST(Embedding, NamesTheFirstIdOutsideTheVocabulary) {
  const std::vector<int32_t> ids = {0, 7};
  const Tensor table = Tensor::zeros({5, 2}, DType::f32), out = Tensor::empty({2, 2}, DType::f32);
  EXPECT_EQ(fault([&] { embedding(ids, table, out); }),
            "[embedding] ids[1]: expected 0 to 4, got 7");
}

TEST(Rope, MatchesTheReferenceAndInverseTurnsBack) {
  Random random(6);
  Segments segments;
  segments.add(3, 1000);
  segments.add(0);
  segments.add(4);
  segments.add(2, 1);  // positions of the one before
  segments.add(3, 2);  // in part
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t width : {2, 26, 64}) {
      const Tensor x =
          with_strided_rows(random_tensor(random, {12, 3 * width}, dtype)).split_last(3);
      const Tensor want = Tensor::empty(x.shape(), DType::f64);
      rope(converted(x, DType::f64), segments, 10000, false, want);
      for_each_isa([&](const std::string& level) {
        const Tensor got = Tensor::empty(x.shape(), dtype);
        rope(x, segments, 10000, false, got);
        expect_close(got, want, tolerance(dtype, 4), level);
        rope(got, segments, 10000, true, got);
        expect_close(got, x, 3 * tolerance(dtype, 4), level);
      });
    }
  }
}

}  // namespace
}  // namespace sambay::ops::testing
