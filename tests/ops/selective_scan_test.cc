#include "ops/selective_scan.h"

#include "base/threads.h"
#include "ops/op_test_util.h"
#include "support/fault.h"

namespace sambay::ops::testing {
namespace {

using sambay::testing::fault;

SelectiveScanInputs random_inputs(Random& random, int64_t T, int64_t E, int64_t N, DType dtype) {
  const DType master = master_dtype(dtype);
  return {with_strided_rows(random_tensor(random, {T, E}, dtype)),
          with_strided_rows(random_tensor(random, {T, E}, dtype, -2, 1)),
          with_strided_rows(random_tensor(random, {T, N}, dtype)),
          with_strided_rows(random_tensor(random, {T, N}, dtype)),
          random_tensor(random, {E, N}, master, -1, 2),
          random_tensor(random, {E}, master),
          random_tensor(random, {E}, master, -3, 0)};
}

SelectiveScanInputs converted_inputs(const SelectiveScanInputs& in, DType data) {
  const DType master = master_dtype(data);
  return {converted(in.u, data),        converted(in.dt_raw, data),  converted(in.b, data),
          converted(in.c, data),        converted(in.a_log, master), converted(in.skip, master),
          converted(in.dt_bias, master)};
}

SelectiveScanGradients zero_gradients(const SelectiveScanInputs& in) {
  const auto like = [](const Tensor& t) {
    return with_strided_rows(Tensor::zeros(t.shape(), t.dtype()));
  };
  return {like(in.u),
          like(in.dt_raw),
          like(in.b),
          like(in.c),
          Tensor::zeros(in.a_log.shape(), in.a_log.dtype()),
          Tensor::zeros(in.skip.shape(), in.skip.dtype()),
          Tensor::zeros(in.dt_bias.shape(), in.dt_bias.dtype())};
}

Tensor checkpoints_for(const SelectiveScanInputs& in, const Segments& segments) {
  return Tensor::empty({scan_checkpoints(segments), in.u.dim(1), in.b.dim(1)}, in.a_log.dtype());
}

struct Sizes {
  int64_t T, E, N;
  int segments;
};
constexpr Sizes all_sizes[] = {{1, 1, 1, 1},    {5, 3, 2, 2},    {70, 19, 16, 1},
                               {200, 37, 5, 4}, {9, 33, 16, 12}, {130, 140, 17, 3}};

// dt A lies in [-3, 0]: an error of one row fades over few others.
constexpr double scan_roundings = 12;

TEST(SelectiveScan, ForwardMatchesTheReferenceAtEveryLevel) {
  Random random(1);
  for (const Sizes& size : all_sizes) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Segments segments = random_segments(random, size.segments, size.T);
      const SelectiveScanInputs in = random_inputs(random, size.T, size.E, size.N, dtype);
      const SelectiveScanInputs exact = converted_inputs(in, DType::f64);
      const Tensor y = Tensor::empty({size.T, size.E}, DType::f64);
      const Tensor x = checkpoints_for(exact, segments);
      selective_scan(exact, segments, {}, y, x);
      for_each_isa([&](const std::string& level) {
        const Tensor got = with_strided_rows(Tensor::zeros({size.T, size.E}, dtype));
        const Tensor got_x = checkpoints_for(in, segments);
        selective_scan(in, segments, {}, got, got_x);
        expect_close(got, y, tolerance(dtype, scan_roundings), level);
        expect_close(got_x, x, tolerance(DType::f32, scan_roundings), level + " checkpoints");
      });
    }
  }
}

TEST(SelectiveScan, WholeEqualsChunksEqualsTokenByToken) {
  constexpr int64_t T = 150, E = 21, N = 16;
  Random random(2);
  const SelectiveScanInputs in = random_inputs(random, T, E, N, DType::f32);
  const auto rows = [&](int64_t begin, int64_t end) {
    SelectiveScanInputs part = in;
    for (Tensor* t : {&part.u, &part.dt_raw, &part.b, &part.c}) {
      *t = t->slice(0, begin, end);
    }
    return part;
  };
  for_each_isa([&](const std::string& level) {
    const Tensor start = random_tensor(random, {E, N}, DType::f32);
    const auto run = [&](const std::vector<int64_t>& chunks, const Tensor& y, const Tensor& state) {
      int64_t begin = 0;
      for (const int64_t size : chunks) {
        Segments segment;
        segment.add(size, begin);
        void* const states[] = {state.raw()};
        selective_scan(rows(begin, begin + size), segment, states, y.slice(0, begin, begin + size));
        begin += size;
      }
    };
    const Tensor whole = Tensor::empty({T, E}, DType::f32), state = start.clone();
    run({T}, whole, state);
    for (const auto& chunks : {std::vector<int64_t>{70, 64, 0, 3, 13},
                               std::vector<int64_t>(static_cast<size_t>(T), 1)}) {
      const Tensor y = Tensor::empty({T, E}, DType::f32), chunked = start.clone();
      run(chunks, y, chunked);
      expect_close(y, whole, tolerance(DType::f32, scan_roundings), level);
      expect_close(chunked, state, tolerance(DType::f32, scan_roundings), level + " state");
    }
  });
}

TEST(SelectiveScan, SegmentsWithAndWithoutStateMix) {
  constexpr int64_t E = 20, N = 16;
  Random random(3);
  Segments segments;
  for (const int64_t rows : {1, 0, 7, 1, 3}) {
    segments.add(rows);
  }
  const SelectiveScanInputs in = random_inputs(random, segments.rows(), E, N, DType::f32);
  const SelectiveScanInputs exact = converted_inputs(in, DType::f64);
  const Tensor start = random_tensor(random, {5, E, N}, DType::f32);
  const auto pointers = [](const Tensor& states) {
    std::vector<void*> out;
    for (int64_t s = 0; s < 5; ++s) {
      out.push_back(s == 3 ? nullptr : states.slice(0, s, s + 1).raw());
    }
    return out;
  };
  const Tensor states = converted(start, DType::f64);
  const Tensor y = Tensor::empty({segments.rows(), E}, DType::f64);
  selective_scan(exact, segments, pointers(states), y);
  for_each_isa([&](const std::string& level) {
    const Tensor got_states = start.clone();
    const Tensor got = Tensor::empty({segments.rows(), E}, DType::f32);
    selective_scan(in, segments, pointers(got_states), got);
    expect_close(got, y, tolerance(DType::f32, scan_roundings), level);
    expect_close(got_states, states, tolerance(DType::f32, scan_roundings), level);
  });
}

TEST(SelectiveScan, ReferenceGradientIsTheFiniteDifference) {
  Random random(4);
  Segments segments;
  for (const int64_t rows : {4, 0, 3}) {
    segments.add(rows);
  }
  SelectiveScanInputs in = converted_inputs(random_inputs(random, 7, 3, 2, DType::f64), DType::f64);
  const Tensor d_y = random_tensor(random, {7, 3}, DType::f64);
  const Tensor y = Tensor::empty({7, 3}, DType::f64), x = checkpoints_for(in, segments);
  const auto loss = [&] {
    selective_scan(in, segments, {}, y, x);
    return inner_product(y, d_y);
  };
  loss();
  const SelectiveScanGradients gradients = zero_gradients(in);
  selective_scan_backward(in, segments, x, d_y, gradients);
  expect_gradient(loss, in.u, gradients.u, "u");
  expect_gradient(loss, in.dt_raw, gradients.dt_raw, "dt_raw");
  expect_gradient(loss, in.b, gradients.b, "b");
  expect_gradient(loss, in.c, gradients.c, "c");
  expect_gradient(loss, in.a_log, gradients.a_log, "a_log");
  expect_gradient(loss, in.skip, gradients.skip, "skip");
  expect_gradient(loss, in.dt_bias, gradients.dt_bias, "dt_bias");
}

void expect_all_close(const SelectiveScanGradients& got, const SelectiveScanGradients& want,
                      DType dtype, double roundings, const std::string& what) {
  expect_close(got.u, want.u, tolerance(dtype, roundings), what + " u");
  expect_close(got.dt_raw, want.dt_raw, tolerance(dtype, roundings), what + " dt_raw");
  expect_close(got.b, want.b, tolerance(dtype, roundings), what + " b");
  expect_close(got.c, want.c, tolerance(dtype, roundings), what + " c");
  expect_close(got.a_log, want.a_log, tolerance(DType::f32, roundings), what + " a_log");
  expect_close(got.skip, want.skip, tolerance(DType::f32, roundings), what + " skip");
  expect_close(got.dt_bias, want.dt_bias, tolerance(DType::f32, roundings), what + " dt_bias");
}

TEST(SelectiveScan, BackwardMatchesTheReferenceAtEveryLevel) {
  Random random(5);
  for (const Sizes& size : all_sizes) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Segments segments = random_segments(random, size.segments, size.T);
      const SelectiveScanInputs in = random_inputs(random, size.T, size.E, size.N, dtype);
      const SelectiveScanInputs exact = converted_inputs(in, DType::f64);
      const Tensor d_y = with_strided_rows(random_tensor(random, {size.T, size.E}, dtype));
      const SelectiveScanGradients want = zero_gradients(exact);
      selective_scan_backward(exact, segments, checkpoints_for(exact, segments),
                              converted(d_y, DType::f64), want);
      for_each_isa([&](const std::string& level) {
        const Tensor y = Tensor::empty({size.T, size.E}, dtype);
        const Tensor x = checkpoints_for(in, segments);
        selective_scan(in, segments, {}, y, x);
        const SelectiveScanGradients got = zero_gradients(in);
        selective_scan_backward(in, segments, x, d_y, got);
        expect_all_close(got, want, dtype, 4 * scan_roundings, level);
      });
    }
  }
}

TEST(SelectiveScan, BackwardAddsToParametersAndIgnoresTheNumberOfThreads) {
  Random random(6);
  const Segments segments = random_segments(random, 5, 90);
  const SelectiveScanInputs in = random_inputs(random, 90, 150, 16, DType::f32);
  const Tensor d_y = random_tensor(random, {90, 150}, DType::f32);
  const Tensor y = Tensor::empty({90, 150}, DType::f32), x = checkpoints_for(in, segments);
  selective_scan(in, segments, {}, y, x);
  const int threads = num_threads();
  set_num_threads(1);
  const SelectiveScanGradients one = zero_gradients(in);
  selective_scan_backward(in, segments, x, d_y, one);
  set_num_threads(3);
  const SelectiveScanGradients three = zero_gradients(in);
  selective_scan_backward(in, segments, x, d_y, three);
  set_num_threads(threads);
  EXPECT_EQ(values_of(one.a_log), values_of(three.a_log));
  EXPECT_EQ(values_of(one.b), values_of(three.b));
  EXPECT_EQ(values_of(one.dt_bias), values_of(three.dt_bias));
  selective_scan_backward(in, segments, x, d_y, one);
  expect_doubled(one.skip, three.skip, 90);
}

TEST(SelectiveScan, WrongShapesAreNamed) {
  Random random(7);
  SelectiveScanInputs in = random_inputs(random, 4, 6, 2, DType::f32);
  in.a_log = Tensor::zeros({6, 3}, DType::f32);
  Segments segments;
  segments.add(4);
  EXPECT_EQ(fault([&] {
              selective_scan(in, segments, {}, Tensor::empty({4, 6}, DType::f32));
            }),
            "[selective_scan] a_log: expected (6, 2), got (6, 3)");
}

}  // namespace
}  // namespace sambay::ops::testing
