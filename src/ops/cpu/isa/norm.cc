#include "ops/cpu/norm_kernels.h"
#include "ops/cpu/simd/sums.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

struct Statistics {
  float mean, scale;
};

// Sum of value(i, part) over a row, by two accumulators that take turns.
template <class Value>
SAMBAY_INLINE float row_sum(int64_t width, Value value) {
  Vec even = set1(0.0F), odd = even;
  int64_t i = 0;
  for (; i + 2 * lanes <= width; i += 2 * lanes) {
    even += value(i, Whole{});
    odd += value(i + lanes, Whole{});
  }
  for (; i < width; i += lanes) {
    const int64_t left = width - i;
    even += value(i, First{left < lanes ? static_cast<int>(left) : lanes});
  }
  return sum(even + odd);
}

template <class T>
Statistics statistics(const NormArguments& work, const T* x) {
  const auto D = static_cast<float>(work.width);
  float mean = 0.0F;
  if (work.centred) {
    mean = row_sum(work.width, [&](int64_t i, auto part) { return load(x + i, part); }) / D;
  }
  const Vec shift = set1(mean);
  const float squares = row_sum(work.width, [&](int64_t i, auto part) {
    const Vec h = only(load(x + i, part) - shift, part);
    return h * h;
  });
  return {mean, 1.0F / __builtin_sqrtf(squares / D + work.eps)};
}

template <class T, class Out>
void forward_row(const NormArguments& work, const T* x, Out* out) {
  const Statistics s = statistics(work, x);
  const Vec mean = set1(s.mean), scale = set1(s.scale);
  for_lanes(work.width, [&](int64_t i, auto part) {
    const Vec h = (load(x + i, part) - mean) * scale;
    const Vec bias = work.bias != nullptr ? load(work.bias + i, part) : set1(0.0F);
    store(out + i, fma(h, load(work.weight + i, part), bias), part);
  });
}

template <class T, class Out>
void backward_row(const NormArguments& work, const T* x, const Out* d_out, T* d_x, float* d_weight,
                  float* d_bias) {
  const Statistics s = statistics(work, x);
  const Vec mean = set1(s.mean), scale = set1(s.scale);
  const auto D = static_cast<float>(work.width);
  float mean_g = 0.0F;
  if (work.centred) {
    mean_g = row_sum(work.width,
                     [&](int64_t i, auto part) {
                       return load(d_out + i, part) * load(work.weight + i, part);
                     }) /
             D;
  }
  // Behind the row's end d_out is zero, so that its products are too.
  const float mean_gh = row_sum(work.width,
                                [&](int64_t i, auto part) {
                                  const Vec h = (load(x + i, part) - mean) * scale;
                                  return load(d_out + i, part) * load(work.weight + i, part) * h;
                                }) /
                        D;
  const Vec g0 = set1(mean_g), gh = set1(mean_gh);
  for_lanes(work.width, [&](int64_t i, auto part) {
    const Vec h = (load(x + i, part) - mean) * scale, d = load(d_out + i, part);
    store(d_weight + i, fma(d, h, load(d_weight + i, part)), part);
    if (d_bias != nullptr) {
      store(d_bias + i, load(d_bias + i, part) + d, part);
    }
    const Vec g = d * load(work.weight + i, part);
    store(d_x + i, scale * (fnma(h, gh, g) - g0), part);
  });
}

template <class T>
const T* at(ConstRows rows, int64_t row) {
  return static_cast<const T*>(rows.data) + row * rows.stride;
}
template <class T>
T* at(Rows rows, int64_t row) {
  return static_cast<T*>(rows.data) + row * rows.stride;
}

template <class T, class Out>
void forward_rows(const NormArguments& work, int64_t begin, int64_t end, Rows out) {
  for (int64_t row = begin; row < end; ++row) {
    forward_row(work, at<T>(work.x, row), at<Out>(out, row));
  }
}

void forward(const NormArguments& work, int64_t begin, int64_t end, Rows out) {
  if (work.x.bf16) {
    (out.bf16 ? forward_rows<Bf16, Bf16> : forward_rows<Bf16, float>)(work, begin, end, out);
  } else {
    (out.bf16 ? forward_rows<float, Bf16> : forward_rows<float, float>)(work, begin, end, out);
  }
}

template <class T, class Out>
void backward_rows(const NormArguments& work, int64_t begin, int64_t end, ConstRows d_out, Rows d_x,
                   float* d_weight, float* d_bias) {
  for (int64_t row = begin; row < end; ++row) {
    backward_row(work, at<T>(work.x, row), at<Out>(d_out, row), at<T>(d_x, row), d_weight, d_bias);
  }
}

void backward(const NormArguments& work, int64_t begin, int64_t end, ConstRows d_out, Rows d_x,
              float* d_weight, float* d_bias) {
  auto* run = work.x.bf16 ? (d_out.bf16 ? backward_rows<Bf16, Bf16> : backward_rows<Bf16, float>)
                          : (d_out.bf16 ? backward_rows<float, Bf16> : backward_rows<float, float>);
  run(work, begin, end, d_out, d_x, d_weight, d_bias);
}

}  // namespace

extern const NormKernels norm_kernels;
const NormKernels norm_kernels = {forward, backward, add_parts};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
