#include "ops/cpu/elementwise_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Rows pass through the first-level cache in pieces: bf16 operands are widened there, so that one
// kernel serves every mixture of dtypes.
constexpr int64_t piece = 512;

struct Buffer {
  alignas(64) float values[piece];
};

// Columns [column, column + n) of a row as floats: in place, or widened into the buffer.
const float* read(ConstRows rows, int64_t row, int64_t column, int64_t n, Buffer& buffer) {
  const int64_t offset = row * rows.stride + column;
  if (!rows.bf16) {
    return static_cast<const float*>(rows.data) + offset;
  }
  const Bf16* from = static_cast<const Bf16*>(rows.data) + offset;
  for_lanes(n, [&](int64_t i, auto part) { store(buffer.values + i, load(from + i, part), part); });
  return buffer.values;
}

// Where to write: in place, or into the buffer, from which `write` then narrows.
float* target(Rows rows, int64_t row, int64_t column, Buffer& buffer) {
  return rows.bf16 ? buffer.values : static_cast<float*>(rows.data) + row * rows.stride + column;
}

void write(Rows rows, int64_t row, int64_t column, int64_t n, const Buffer& buffer) {
  if (rows.bf16) {
    Bf16* to = static_cast<Bf16*>(rows.data) + row * rows.stride + column;
    for_lanes(n, [&](int64_t i, auto part) { store(to + i, load(buffer.values + i, part), part); });
  }
}

// Calls body(row, column, n) for each piece of each row.
template <class Body>
SAMBAY_INLINE void for_pieces(int64_t begin, int64_t end, int64_t width, Body body) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t column = 0; column < width; column += piece) {
      body(row, column, width - column < piece ? width - column : piece);
    }
  }
}

void silu_mul(const ElementwiseArguments& work, int64_t begin, int64_t end) {
  Buffer buffers[3];
  for_pieces(begin, end, work.width, [&](int64_t row, int64_t column, int64_t n) {
    const float* gate = read(work.a, row, column, n, buffers[0]);
    const float* up = read(work.b, row, column, n, buffers[1]);
    float* out = target(work.out, row, column, buffers[2]);
    for_lanes(n, [&](int64_t i, auto part) {
      store(out + i, silu(load(gate + i, part)) * load(up + i, part), part);
    });
    write(work.out, row, column, n, buffers[2]);
  });
}

void silu_mul_backward(const ElementwiseArguments& work, int64_t begin, int64_t end) {
  Buffer buffers[5];
  for_pieces(begin, end, work.width, [&](int64_t row, int64_t column, int64_t n) {
    const float* gate = read(work.a, row, column, n, buffers[0]);
    const float* up = read(work.b, row, column, n, buffers[1]);
    const float* d_out = read(work.c, row, column, n, buffers[2]);
    const bool want_gate = work.out.data != nullptr, want_up = work.out2.data != nullptr;
    float* d_gate = want_gate ? target(work.out, row, column, buffers[3]) : buffers[3].values;
    float* d_up = want_up ? target(work.out2, row, column, buffers[4]) : buffers[4].values;
    for_lanes(n, [&](int64_t i, auto part) {
      const Vec x = load(gate + i, part), d = load(d_out + i, part), u = load(up + i, part);
      const Vec s = sigmoid(x);
      store(d_gate + i, d * u * silu_derivative(x, s), part);
      store(d_up + i, d * (x * s), part);
    });
    if (want_gate) {
      write(work.out, row, column, n, buffers[3]);
    }
    if (want_up) {
      write(work.out2, row, column, n, buffers[4]);
    }
  });
}

void add_scaled(const ElementwiseArguments& work, int64_t begin, int64_t end) {
  Buffer buffers[3];
  const Vec scale = set1(work.scale);
  for_pieces(begin, end, work.width, [&](int64_t row, int64_t column, int64_t n) {
    const float* y = read(work.b, row, column, n, buffers[1]);
    float* out = target(work.out, row, column, buffers[2]);
    if (work.a.data != nullptr) {
      const float* x = read(work.a, row, column, n, buffers[0]);
      for_lanes(n, [&](int64_t i, auto part) {
        store(out + i, fma(scale, load(y + i, part), load(x + i, part)), part);
      });
    } else {
      for_lanes(n, [&](int64_t i, auto part) { store(out + i, scale * load(y + i, part), part); });
    }
    write(work.out, row, column, n, buffers[2]);
  });
}

template <class T>
void rope_row(const RopeArguments& work, int64_t row) {
  const int64_t half = work.width / 2;
  const float* cosines = work.turns + row * work.width;
  for (int64_t h = 0; h < work.heads; ++h) {
    const T* x = static_cast<const T*>(work.x.data) + row * work.x.stride + h * work.x_head_stride;
    T* out = static_cast<T*>(work.out.data) + row * work.out.stride + h * work.out_head_stride;
    for_lanes(half, [&](int64_t i, auto part) {
      const Vec a = load(x + i, part), b = load(x + half + i, part);
      const Vec c = load(cosines + i, part), s = load(cosines + half + i, part);
      store(out + i, fnma(b, s, a * c), part);
      store(out + half + i, fma(a, s, b * c), part);
    });
  }
}

void rope(const RopeArguments& work, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    if (work.x.bf16) {
      rope_row<Bf16>(work, row);
    } else {
      rope_row<float>(work, row);
    }
  }
}

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {silu_mul, silu_mul_backward, add_scaled, rope};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
