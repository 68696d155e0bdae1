#include "ops/matmul.h"

#include <string_view>

#include "ops/cost.h"
#include "ops/cpu/product.h"
#include "ops/cpu/select.h"
#include "ops/ref/matmul.h"

namespace sambay::ops {

SAMBAY_KERNELS(MatmulKernels, matmul_kernels);

namespace {

void expect_shape(std::string_view op, std::string_view field, const Tensor& t, Shape shape) {
  if (t.shape() != shape) {
    fail(op, "{}: expected {}, got {}", field, shape.text(), t.shape().text());
  }
}

void expect_matrix(std::string_view op, std::string_view field, const Tensor& t) {
  if (!t.defined() || t.rank() != 2) {
    fail(op, "{}: expected a matrix, got {}", field, t.defined() ? t.shape().text() : "nothing");
  }
}

void expect_dtype(std::string_view op, std::string_view field, const Tensor& t, DType dtype) {
  if (t.dtype() != dtype) {
    fail(op, "{}: expected {}, got {}", field, name(dtype), name(t.dtype()));
  }
}

void expect_operand(std::string_view op, std::string_view field, const Tensor& t) {
  if (t.dtype() != DType::f64 && t.dtype() != DType::f32 && t.dtype() != DType::bf16) {
    fail(op, "{}: expected f64, f32 or bf16, got {}", field, name(t.dtype()));
  }
}

void expect_result(std::string_view op, std::string_view field, const Tensor& t, DType operands) {
  if (operands == DType::f64) {
    expect_dtype(op, field, t, DType::f64);
  } else if (t.dtype() != DType::f32 && t.dtype() != DType::bf16) {
    fail(op, "{}: expected f32 or bf16, got {}", field, name(t.dtype()));
  }
}

DType wide(DType operands) {
  return operands == DType::f64 ? DType::f64 : DType::f32;
}

// One product of whole tensors: c = alpha * op(a) op(b) + bias (+ c).
struct TensorProduct {
  Tensor a, b, c, bias;
  MatmulOptions options;

  int64_t m() const { return c.dim(0); }
  int64_t n() const { return c.dim(1); }
  int64_t k() const { return a.dim(options.transpose_a ? 0 : 1); }
};

bool on_meta(const TensorProduct& p) {
  return p.a.device() == Device::meta || p.b.device() == Device::meta ||
         p.c.device() == Device::meta;
}

template <class T>
void run_reference(const TensorProduct& p) {
  const auto view = [](const Tensor& t, bool transposed) {
    return transposed ? ref::MatrixView<const T>{t.data<T>(), 1, t.stride(0)}
                      : ref::MatrixView<const T>{t.data<T>(), t.stride(0), 1};
  };
  ref::matmul<T>({.m = p.m(),
                  .n = p.n(),
                  .k = p.k(),
                  .a = view(p.a, p.options.transpose_a),
                  .b = view(p.b, p.options.transpose_b),
                  .c = {p.c.data<T>(), p.c.stride(0), 1},
                  .bias = p.bias.defined() ? p.bias.data<T>() : nullptr,
                  .alpha = static_cast<T>(p.options.alpha),
                  .accumulate = p.options.accumulate});
}

Tensor widened(const Tensor& t, Arena& arena) {
  if (t.dtype() != DType::bf16) {
    return t;
  }
  Tensor out = Tensor::empty(t.shape(), DType::f32, arena);
  for (int64_t i = 0; i < t.dim(0); ++i) {
    for (int64_t j = 0; j < t.dim(1); ++j) {
      out.data<float>()[i * t.dim(1) + j] = to_float(t.data<Bf16>()[i * t.stride(0) + j]);
    }
  }
  return out;
}

void round_into(const Tensor& wide, const Tensor& out) {
  for (int64_t i = 0; i < out.dim(0); ++i) {
    for (int64_t j = 0; j < out.dim(1); ++j) {
      out.data<Bf16>()[i * out.stride(0) + j] = to_bf16(wide.data<float>()[i * out.dim(1) + j]);
    }
  }
}

void run_reference(const TensorProduct& p, Arena& arena) {
  if (p.a.dtype() == DType::f64) {
    run_reference<double>(p);
    return;
  }
  TensorProduct floats = p;
  floats.a = widened(p.a, arena);
  floats.b = widened(p.b, arena);
  if (p.c.dtype() == DType::bf16) {
    floats.c = Tensor::empty(p.c.shape(), DType::f32, arena);
  }
  run_reference<float>(floats);
  if (p.c.dtype() == DType::bf16) {
    round_into(floats.c, p.c);
  }
}

void run(const TensorProduct& p) {
  Arena& arena = p.c.arena();
  const bool meta = on_meta(p);
  if (p.a.dtype() == DType::f64 || isa() == Isa::reference) {
    if (!meta) {
      run_reference(p, arena);
    }
    return;
  }
  const bool ta = p.options.transpose_a, tb = p.options.transpose_b;
  const Product product = {.m = p.m(),
                           .n = p.n(),
                           .k = p.k(),
                           .dtype = p.a.dtype(),
                           .a = p.a.raw(),
                           .a_row = ta ? 1 : p.a.stride(0),
                           .a_k = ta ? p.a.stride(0) : 1,
                           .b = p.b.raw(),
                           .b_k = tb ? 1 : p.b.stride(0),
                           .b_column = tb ? p.b.stride(0) : 1,
                           .c = p.c.raw(),
                           .c_row = p.c.stride(0),
                           .c_dtype = p.c.dtype(),
                           .bias = p.bias.defined() ? p.bias.data<float>() : nullptr,
                           .alpha = p.options.alpha,
                           .accumulate = p.options.accumulate};
  multiply(product, matmul_kernels(), meta ? default_arena(Device::meta) : arena);
}

double bytes_of(const Tensor& t) {
  return t.defined() ? static_cast<double>(t.bytes()) : 0;
}

double flops_of(const TensorProduct& p) {
  return 2.0 * static_cast<double>(p.m()) * static_cast<double>(p.n()) * static_cast<double>(p.k());
}

}  // namespace

void matmul(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  constexpr std::string_view op = "matmul";
  expect_matrix(op, "a", a);
  expect_matrix(op, "b", b);
  expect_matrix(op, "c", c);
  const int64_t m = a.dim(options.transpose_a ? 1 : 0), k = a.dim(options.transpose_a ? 0 : 1);
  const int64_t n = b.dim(options.transpose_b ? 0 : 1);
  expect_shape(op, "b", b, options.transpose_b ? Shape{n, k} : Shape{k, n});
  expect_shape(op, "c", c, {m, n});
  expect_operand(op, "a", a);
  expect_dtype(op, "b", b, a.dtype());
  expect_result(op, "c", c, a.dtype());
  if (options.accumulate) {
    expect_dtype(op, "c (accumulated into)", c, wide(a.dtype()));
  }
  const TensorProduct product = {a, b, c, {}, options};
  count_cost(
      {.matrix_flops = flops_of(product),
       .activation_bytes = bytes_of(a) + bytes_of(b) + bytes_of(c) * (options.accumulate ? 2 : 1)});
  run(product);
}

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out) {
  constexpr std::string_view op = "linear";
  expect_matrix(op, "x", x);
  expect_matrix(op, "weight", weight);
  expect_matrix(op, "out", out);
  expect_operand(op, "x", x);
  expect_shape(op, "weight", weight, {weight.dim(0), x.dim(1)});
  expect_dtype(op, "weight", weight, x.dtype());
  expect_shape(op, "out", out, {x.dim(0), weight.dim(0)});
  expect_result(op, "out", out, x.dtype());
  if (bias.defined()) {
    expect_shape(op, "bias", bias, {weight.dim(0)});
    expect_dtype(op, "bias", bias, wide(x.dtype()));
  }
  const TensorProduct product = {x, weight, out, bias, {.transpose_b = true}};
  count_cost({.matrix_flops = flops_of(product),
              .weight_bytes = bytes_of(weight) + bytes_of(bias),
              .activation_bytes = bytes_of(x) + bytes_of(out)});
  run(product);
}

namespace {

void add_bias_gradient(const Tensor& d_out, const Tensor& d_bias) {
  if (d_out.dtype() == DType::f64) {
    ref::column_sums<double>({d_out.data<double>(), d_out.stride(0), 1}, d_out.dim(0), d_out.dim(1),
                             d_bias.data<double>());
  } else if (isa() == Isa::reference) {
    const Tensor floats = widened(d_out, d_bias.arena());
    ref::column_sums<float>({floats.data<float>(), floats.stride(0), 1}, d_out.dim(0), d_out.dim(1),
                            d_bias.data<float>());
  } else {
    add_column_sums(d_out, d_bias.data<float>(), matmul_kernels());
  }
}

}  // namespace

void linear_backward(const Tensor& x, const Tensor& weight, const Tensor& d_out, const Tensor& d_x,
                     const Tensor& d_weight, const Tensor& d_bias) {
  constexpr std::string_view op = "linear_backward";
  expect_matrix(op, "x", x);
  expect_matrix(op, "weight", weight);
  expect_matrix(op, "d_out", d_out);
  expect_operand(op, "x", x);
  expect_shape(op, "weight", weight, {weight.dim(0), x.dim(1)});
  expect_dtype(op, "weight", weight, x.dtype());
  expect_shape(op, "d_out", d_out, {x.dim(0), weight.dim(0)});
  expect_dtype(op, "d_out", d_out, x.dtype());
  if (d_x.defined()) {
    expect_shape(op, "d_x", d_x, x.shape());
    expect_result(op, "d_x", d_x, x.dtype());
    const TensorProduct product = {d_out, weight, d_x, {}, {}};
    count_cost({.matrix_flops = flops_of(product),
                .weight_bytes = bytes_of(weight),
                .activation_bytes = bytes_of(d_out) + bytes_of(d_x)});
    run(product);
  }
  if (d_weight.defined()) {
    expect_shape(op, "d_weight", d_weight, weight.shape());
    expect_dtype(op, "d_weight", d_weight, wide(x.dtype()));
    const TensorProduct product = {
        d_out, x, d_weight, {}, {.transpose_a = true, .accumulate = true}};
    count_cost({.matrix_flops = flops_of(product),
                .activation_bytes = bytes_of(d_out) + bytes_of(x) + 2 * bytes_of(d_weight)});
    run(product);
  }
  if (d_bias.defined()) {
    expect_shape(op, "d_bias", d_bias, {weight.dim(0)});
    expect_dtype(op, "d_bias", d_bias, wide(x.dtype()));
    count_cost({.other_flops = static_cast<double>(d_out.elements()),
                .activation_bytes = bytes_of(d_out) + 2 * bytes_of(d_bias)});
    if (d_out.device() != Device::meta && d_bias.device() != Device::meta) {
      add_bias_gradient(d_out, d_bias);
    }
  }
}

}  // namespace sambay::ops
