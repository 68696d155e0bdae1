#include "ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/elementwise_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/elementwise.h"

namespace sambay::ops {

SAMBAY_KERNELS(ElementwiseKernels, elementwise_kernels);

namespace {

constexpr std::initializer_list<DType> any_float = {DType::f64, DType::f32, DType::bf16};

// Elements that are worth a thread of their own.
constexpr int64_t thread_elements = 16384;

int64_t grain_rows(int64_t width) {
  return std::max<int64_t>(1, thread_elements / std::max<int64_t>(1, width));
}

// f64 mixes with f64 only: its arithmetic is the reference's.
void check_same_precision(std::string_view op, std::string_view field, const Tensor& tensor,
                          const Tensor& first) {
  if ((tensor.dtype() == DType::f64) != (first.dtype() == DType::f64)) {
    fail(op, "{}: expected a dtype that goes with {}, got {}", field, name(first.dtype()),
         name(tensor.dtype()));
  }
}

void check_operand(std::string_view op, std::string_view field, const Tensor& tensor,
                   const Tensor& first) {
  expect(op, field, tensor, first.shape(), any_float);
  check_same_precision(op, field, tensor, first);
}

void run_rows(ElementwiseKernels::Kernel kernel, const ElementwiseArguments& work, int64_t rows) {
  parallel_ranges(rows, grain_rows(work.width),
                  [&](int64_t begin, int64_t end) { kernel(work, begin, end); });
}

// Any tensor as a matrix; one that is not a matrix already must be contiguous.
Tensor as_matrix(const Tensor& tensor) {
  if (!tensor.defined() || tensor.rank() == 2) {
    return tensor;
  }
  const int64_t width = tensor.rank() == 0 ? 1 : tensor.dim(-1);
  return tensor.reshape({width == 0 ? 0 : tensor.elements() / width, width});
}

// out = x + scale y, or scale y where x is undefined.
void add_or_scale(std::string_view op, const Tensor& x, const Tensor& y, float scale,
                  const Tensor& out) {
  count_cost({.other_flops = (x.defined() ? 2.0 : 1.0) * static_cast<double>(y.elements()),
              .activation_bytes = bytes_of(x, y, out)});
  if (any_meta(y, out) || y.elements() == 0) {
    return;
  }
  const bool mixes_f64 = y.dtype() == DType::f64 || out.dtype() == DType::f64;
  if (mixes_f64 || isa() == Isa::reference) {
    check(y.shape() == out.shape(), op);
    run_reference(mixes_f64 ? DType::f64 : DType::f32, [&]<class Real>(Staging<Real>& staging) {
      ref::add_scaled(staging.in(x), staging.in(y), static_cast<Real>(scale), y.elements(),
                      staging.out(out));
    });
    return;
  }
  ElementwiseArguments work;
  const Tensor rows = as_matrix(y);
  work.a = const_rows_of(as_matrix(x));
  work.b = const_rows_of(rows);
  work.out = rows_of(as_matrix(out));
  work.width = rows.dim(1);
  work.scale = scale;
  run_rows(elementwise_kernels().add_scaled, work, rows.dim(0));
}

}  // namespace

void silu_mul(const Tensor& gate, const Tensor& up, const Tensor& out) {
  constexpr std::string_view op = "silu_mul";
  expect_rank(op, "gate", gate, 2);
  check_operand(op, "gate", gate, gate);
  check_operand(op, "up", up, gate);
  check_operand(op, "out", out, gate);
  count_cost({.other_flops = 5.0 * static_cast<double>(gate.elements()),
              .activation_bytes = bytes_of(gate, up, out)});
  if (any_meta(gate, up, out)) {
    return;
  }
  if (runs_reference(gate.dtype())) {
    run_reference(gate.dtype(), [&](auto& staging) {
      ref::silu_mul(staging.in(gate), staging.in(up), gate.elements(), staging.out(out));
    });
    return;
  }
  ElementwiseArguments work;
  work.a = const_rows_of(gate);
  work.b = const_rows_of(up);
  work.out = rows_of(out);
  work.width = gate.dim(1);
  run_rows(elementwise_kernels().silu_mul, work, gate.dim(0));
}

void silu_mul_backward(const Tensor& gate, const Tensor& up, const Tensor& d_out,
                       const Tensor& d_gate, const Tensor& d_up) {
  constexpr std::string_view op = "silu_mul_backward";
  expect_rank(op, "gate", gate, 2);
  check_operand(op, "gate", gate, gate);
  check_operand(op, "up", up, gate);
  check_operand(op, "d_out", d_out, gate);
  for (const Tensor* gradient : {&d_gate, &d_up}) {
    if (gradient->defined()) {
      check_operand(op, gradient == &d_gate ? "d_gate" : "d_up", *gradient, gate);
    }
  }
  count_cost({.other_flops = 10.0 * static_cast<double>(gate.elements()),
              .activation_bytes = bytes_of(gate, up, d_out, d_gate, d_up)});
  if (any_meta(gate, up, d_out)) {
    return;
  }
  if (runs_reference(gate.dtype())) {
    run_reference(gate.dtype(), [&](auto& staging) {
      ref::silu_mul_backward(staging.in(gate), staging.in(up), staging.in(d_out), gate.elements(),
                             staging.out(d_gate), staging.out(d_up));
    });
    return;
  }
  ElementwiseArguments work;
  work.a = const_rows_of(gate);
  work.b = const_rows_of(up);
  work.c = const_rows_of(d_out);
  work.out = rows_of(d_gate);
  work.out2 = rows_of(d_up);
  work.width = gate.dim(1);
  run_rows(elementwise_kernels().silu_mul_backward, work, gate.dim(0));
}

void add_scaled(const Tensor& x, const Tensor& y, float scale, const Tensor& out) {
  constexpr std::string_view op = "add_scaled";
  expect_dtype(op, "x", x, any_float);
  check_operand(op, "y", y, x);
  check_operand(op, "out", out, x);
  add_or_scale(op, x, y, scale, out);
}

void scale_cast(const Tensor& x, float scale, const Tensor& out) {
  constexpr std::string_view op = "scale_cast";
  expect_dtype(op, "x", x, any_float);
  expect(op, "out", out, x.shape(), any_float);
  add_or_scale(op, {}, x, scale, out);
}

namespace {

// Copies rows from `from` to `to`, first rows as given, of equal width and dtype.
void copy_rows(const Tensor& from, int64_t from_row, const Tensor& to, int64_t to_row,
               int64_t count) {
  to.slice(0, to_row, to_row + count).copy_from(from.slice(0, from_row, from_row + count));
}

void check_selection(std::string_view op, const Segments& all, const Segments& wanted) {
  check(all.count() == wanted.count(), op);
  for (int s = 0; s < all.count(); ++s) {
    check(wanted.rows(s) <= all.rows(s), "a segment wants at most the rows it has");
  }
}

}  // namespace

void select_rows(const Tensor& x, const Segments& all, const Segments& wanted, const Tensor& out) {
  constexpr std::string_view op = "select_rows";
  expect_rank(op, "x", x, 2);
  expect_shape(op, "x", x, {all.rows(), x.dim(1)});
  expect(op, "out", out, {wanted.rows(), x.dim(1)}, {x.dtype()});
  check_selection(op, all, wanted);
  count_cost({.activation_bytes = 2 * bytes_of(out)});
  if (any_meta(x, out)) {
    return;
  }
  for (int s = 0; s < all.count(); ++s) {
    const auto at = static_cast<size_t>(s);
    const int64_t rows = wanted.rows(s);
    copy_rows(x, all.begin[at + 1] - rows, out, wanted.begin[at], rows);
  }
}

void select_rows_backward(const Tensor& d_out, const Segments& all, const Segments& wanted,
                          const Tensor& d_x) {
  constexpr std::string_view op = "select_rows_backward";
  expect_rank(op, "d_x", d_x, 2);
  expect_shape(op, "d_x", d_x, {all.rows(), d_x.dim(1)});
  expect(op, "d_out", d_out, {wanted.rows(), d_x.dim(1)}, {d_x.dtype()});
  check_selection(op, all, wanted);
  count_cost({.activation_bytes = bytes_of(d_out, d_x)});
  if (any_meta(d_out, d_x)) {
    return;
  }
  for (int s = 0; s < all.count(); ++s) {
    const auto at = static_cast<size_t>(s);
    const int64_t rows = wanted.rows(s), first = all.begin[at + 1] - rows;
    d_x.slice(0, all.begin[at], first).zero();
    copy_rows(d_out, wanted.begin[at], d_x, first, rows);
  }
}

namespace {

// turns (T, width) f32, T > 0: the cosines, then the sines of each row's angles. Rows of a batch
// mostly stand at the same positions, so those of the longest segment are copied where others meet
// them.
void fill_turns(const Segments& segments, double base, bool inverse, const Tensor& turns) {
  const int64_t width = turns.dim(1), half = width / 2;
  const auto compute = [&](int64_t first, int64_t position, int64_t rows) {
    float* cosines = turns.data<float>() + first * width;
    for (int64_t n = 0; n < half; ++n) {
      const double frequency = ref::rope_angle(1, n, width, base);
      for (int64_t i = 0; i < rows; ++i) {
        const double angle = static_cast<double>(position + i) * frequency;
        cosines[i * width + n] = static_cast<float>(std::cos(angle));
        cosines[i * width + half + n] =
            static_cast<float>(inverse ? -std::sin(angle) : std::sin(angle));
      }
    }
  };
  int longest = 0;
  for (int s = 1; s < segments.count(); ++s) {
    longest = segments.rows(s) > segments.rows(longest) ? s : longest;
  }
  const int64_t from = segments.begin[static_cast<size_t>(longest)], known = segments.rows(longest);
  const int64_t start = segments.past[static_cast<size_t>(longest)];
  parallel_ranges(known, grain_rows(width), [&](int64_t begin, int64_t end) {
    compute(from + begin, start + begin, end - begin);
  });
  parallel_for(segments.count(), [&](int64_t s) {
    const auto at = static_cast<size_t>(s);
    for (int64_t i = 0; s != longest && i < segments.rows(static_cast<int>(s)); ++i) {
      const int64_t row = segments.begin[at] + i, same = segments.past[at] + i - start;
      if (same >= 0 && same < known) {
        std::copy_n(turns.data<float>() + (from + same) * width, width,
                    turns.data<float>() + row * width);
      } else {
        compute(row, segments.past[at] + i, 1);
      }
    }
  });
}

}  // namespace

void rope(const Tensor& x, const Segments& segments, double base, bool inverse, const Tensor& out) {
  constexpr std::string_view op = "rope";
  expect_rank(op, "x", x, 3);
  const int64_t T = segments.rows(), heads = x.dim(1), width = x.dim(2);
  expect(op, "x", x, {T, heads, width}, any_float);
  expect(op, "out", out, x.shape(), {x.dtype()});
  if (width % 2 != 0) {
    fail(op, "x: expected an even head width, got {}", width);
  }
  count_cost({.other_flops = 3.0 * static_cast<double>(x.elements()),
              .activation_bytes = bytes_of(x, out)});
  if (dry_reference(x.dtype(), x, out)) {
    return;
  }
  if (runs_reference(x.dtype())) {
    run_reference(x.dtype(), [&](auto& staging) {
      ref::rope(staging.in(x), segments, base, inverse, heads, width, staging.out(out));
    });
    return;
  }
  const Tensor turns = Tensor::empty({T, width}, DType::f32, out.arena());
  if (any_meta(x, out) || T == 0) {
    return;
  }
  RopeArguments work;
  work.x = const_rows_of(x);
  work.out = rows_of(out);
  work.x_head_stride = x.stride(1);
  work.out_head_stride = out.stride(1);
  work.heads = heads;
  work.width = width;
  work.turns = turns.data<float>();
  fill_turns(segments, base, inverse, turns);
  const auto kernel = elementwise_kernels().rope;
  parallel_ranges(T, grain_rows(heads * width),
                  [&](int64_t begin, int64_t end) { kernel(work, begin, end); });
}

}  // namespace sambay::ops
