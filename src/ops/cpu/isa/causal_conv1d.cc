#include "ops/cpu/causal_conv1d_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

template <class T>
const T* at(ConstRows rows, int64_t row, int64_t column) {
  return static_cast<const T*>(rows.data) + row * rows.stride + column;
}
template <class T>
T* at(Rows rows, int64_t row, int64_t column) {
  return static_cast<T*>(rows.data) + row * rows.stride + column;
}

// Row i of a segment: of its state, or zero, where i is negative.
template <class T, class Part>
SAMBAY_INLINE Vec input(const ConvArguments& in, const ConvSegment& segment, int64_t i,
                        int64_t channel, Part part) {
  if (i >= 0) {
    return load(at<T>(in.x, segment.row + i, channel), part);
  }
  if (segment.state == nullptr) {
    return set1(0.0F);
  }
  return load(segment.state + (in.taps - 1 + i) * in.channels + channel, part);
}

template <class Part>
SAMBAY_INLINE Vec bias_of(const ConvArguments& in, int64_t channel, Part part) {
  return in.bias != nullptr ? load(in.bias + channel, part) : set1(0.0F);
}

template <class T>
void forward_row(const ConvArguments& in, const ConvSegment& segment, int64_t i, Rows out) {
  for_lanes(in.channels, [&](int64_t channel, auto part) {
    Vec total = bias_of(in, channel, part);
    const float* weight = in.weight + channel;
    for (int64_t j = 0; j < in.taps; ++j, weight += in.channels) {
      total = fma(load(weight, part), input<T>(in, segment, i - (in.taps - 1) + j, channel, part),
                  total);
    }
    store(at<T>(out, segment.row + i, channel), in.silu ? silu(total) : total, part);
  });
}

// The usual width, inside a segment: no branches, and the taps unrolled.
template <class T>
void forward_row_of_4(const ConvArguments& in, const ConvSegment& segment, int64_t i, Rows out) {
  const T* x = at<T>(in.x, segment.row + i - 3, 0);
  const int64_t E = in.channels, stride = in.x.stride;
  T* to = at<T>(out, segment.row + i, 0);
  for_lanes(E, [&](int64_t e, auto part) {
    const float* weight = in.weight + e;
    Vec total = fma(load(weight, part), load(x + e, part), bias_of(in, e, part));
    total = fma(load(weight + E, part), load(x + stride + e, part), total);
    total = fma(load(weight + 2 * E, part), load(x + 2 * stride + e, part), total);
    total = fma(load(weight + 3 * E, part), load(x + 3 * stride + e, part), total);
    store(to + e, in.silu ? silu(total) : total, part);
  });
}

template <class T>
void forward_rows(const ConvArguments& in, const ConvSegment& segment, int64_t begin, int64_t end,
                  Rows out) {
  for (int64_t i = begin; i < end; ++i) {
    if (in.taps == 4 && i >= 3) {
      forward_row_of_4<T>(in, segment, i, out);
    } else {
      forward_row<T>(in, segment, i, out);
    }
  }
}

void forward(const ConvArguments& in, const ConvSegment& segment, int64_t begin, int64_t end,
             Rows out) {
  (in.x.bf16 ? forward_rows<Bf16> : forward_rows<float>)(in, segment, begin, end, out);
}

template <class T>
void keep_rows(const ConvArguments& in, const ConvSegment& segment) {
  for (int64_t j = 0; j < in.taps - 1; ++j) {
    for_lanes(in.channels, [&](int64_t channel, auto part) {
      // Row j is written after it was last read: sources lie at or behind it.
      const int64_t source = segment.rows - (in.taps - 1) + j;
      store(segment.state + j * in.channels + channel, input<T>(in, segment, source, channel, part),
            part);
    });
  }
}

void keep(const ConvArguments& in, const ConvSegment& segment) {
  (in.x.bf16 ? keep_rows<Bf16> : keep_rows<float>)(in, segment);
}

// The gradients of one vector of channels, down the rows: the last W values of x and of the
// preactivation's gradient stay at hand.
template <class T, class Part>
void backward_lanes(const ConvBackward& work, const ConvSegment& segment, int64_t channel,
                    Part part) {
  const ConvArguments& in = work.in;
  const int64_t W = in.taps;
  Vec weight[conv_max_taps], d_weight[conv_max_taps], x[conv_max_taps], d_x[conv_max_taps];
  for (int64_t j = 0; j < W; ++j) {
    weight[j] = load(in.weight + j * in.channels + channel, part);
    d_weight[j] = x[j] = d_x[j] = set1(0.0F);
  }
  const Vec bias = bias_of(in, channel, part);
  Vec d_bias = set1(0.0F);
  for (int64_t i = 0; i < segment.rows + W - 1; ++i) {
    // x[j] is row i - (W - 1) + j; d_x[j] collects that row's gradient.
    for (int64_t j = 0; j + 1 < W; ++j) {
      x[j] = x[j + 1];
      d_x[j] = d_x[j + 1];
    }
    d_x[W - 1] = set1(0.0F);
    if (i < segment.rows) {
      x[W - 1] = load(at<T>(in.x, segment.row + i, channel), part);
      Vec total = bias;
      for (int64_t j = 0; j < W; ++j) {
        total = fma(weight[j], x[j], total);
      }
      Vec d_total = load(at<T>(work.d_out, segment.row + i, channel), part);
      if (in.silu) {
        d_total = d_total * silu_derivative(total, sigmoid(total));
      }
      d_bias += d_total;
      for (int64_t j = 0; j < W; ++j) {
        d_weight[j] = fma(d_total, x[j], d_weight[j]);
        d_x[j] = fma(d_total, weight[j], d_x[j]);
      }
    }
    if (i >= W - 1) {
      store(at<T>(work.d_x, segment.row + i - (W - 1), channel), d_x[0], part);
    }
  }
  for (int64_t j = 0; j < W; ++j) {
    float* to = work.d_weight + j * in.channels + channel;
    store(to, load(to, part) + d_weight[j], part);
  }
  float* to = work.d_bias + channel;
  store(to, load(to, part) + d_bias, part);
}

void backward(const ConvBackward& work, const ConvSegment& segment, int64_t begin, int64_t end) {
  for_lanes(end - begin, [&](int64_t offset, auto part) {
    if (work.in.x.bf16) {
      backward_lanes<Bf16>(work, segment, begin + offset, part);
    } else {
      backward_lanes<float>(work, segment, begin + offset, part);
    }
  });
}

}  // namespace

extern const ConvKernels conv_kernels;
const ConvKernels conv_kernels = {forward, keep, backward};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
