#include "ops/matmul.h"

#include <string_view>

#include "ops/cost.h"
#include "ops/cpu/onednn/product_onednn.h"
#include "ops/cpu/product.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/matmul.h"

namespace sambay::ops {

SAMBAY_KERNELS(MatmulKernels, matmul_kernels);

namespace {

constexpr std::initializer_list<DType> operand_dtypes = {DType::f64, DType::f32, DType::bf16};

void expect_result(std::string_view op, std::string_view field, const Tensor& t, DType operands) {
  if (operands == DType::f64) {
    expect_dtype(op, field, t, {DType::f64});
  } else {
    expect_dtype(op, field, t, {DType::f32, DType::bf16});
  }
}

// One product of whole tensors: c = alpha * op(a) op(b) + bias (+ c).
struct TensorProduct {
  Tensor a, b, c, bias;
  MatmulOptions options;

  int64_t m() const { return c.dim(0); }
  int64_t n() const { return c.dim(1); }
  int64_t k() const { return a.dim(options.transpose_a ? 0 : 1); }
};

void run_reference(const TensorProduct& p) {
  ops::run_reference(p.a.dtype(), [&]<class T>(Staging<T>& staging) {
    const auto view = [&](const Tensor& t, bool transposed) {
      return transposed ? ref::MatrixView<const T>{staging.in(t), 1, t.dim(1)}
                        : ref::MatrixView<const T>{staging.in(t), t.dim(1), 1};
    };
    ref::matmul<T>({.m = p.m(),
                    .n = p.n(),
                    .k = p.k(),
                    .a = view(p.a, p.options.transpose_a),
                    .b = view(p.b, p.options.transpose_b),
                    .c = {staging.out(p.c), p.n(), 1},
                    .bias = staging.in(p.bias),
                    .alpha = static_cast<T>(p.options.alpha),
                    .accumulate = p.options.accumulate});
  });
}

void run(const TensorProduct& p) {
  check(any_meta(p.a) == any_meta(p.c) && any_meta(p.b) == any_meta(p.c),
        "the operands of a product are on one device");
  if (dry_reference(p.a.dtype(), p.c)) {
    return;
  }
  if (runs_reference(p.a.dtype())) {
    run_reference(p);
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
  const bool tiles = isa() == Isa::amx && onednn_available();
  multiply(product, matmul_kernels(), p.c.arena(), tiles ? TileUnit::onednn : TileUnit::none);
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
  expect_rank(op, "a", a, 2);
  expect_rank(op, "b", b, 2);
  expect_rank(op, "c", c, 2);
  const int64_t m = a.dim(options.transpose_a ? 1 : 0), k = a.dim(options.transpose_a ? 0 : 1);
  const int64_t n = b.dim(options.transpose_b ? 0 : 1);
  expect_shape(op, "b", b, options.transpose_b ? Shape{n, k} : Shape{k, n});
  expect_shape(op, "c", c, {m, n});
  expect_dtype(op, "a", a, operand_dtypes);
  expect_dtype(op, "b", b, {a.dtype()});
  expect_result(op, "c", c, a.dtype());
  if (options.accumulate) {
    expect_dtype(op, "c (accumulated into)", c, {master_dtype(a.dtype())});
  }
  const TensorProduct product = {a, b, c, {}, options};
  count_cost(
      {.matrix_flops = flops_of(product),
       .activation_bytes = bytes_of(a) + bytes_of(b) + bytes_of(c) * (options.accumulate ? 2 : 1)});
  run(product);
}

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out) {
  constexpr std::string_view op = "linear";
  expect_rank(op, "x", x, 2);
  expect_rank(op, "weight", weight, 2);
  expect_rank(op, "out", out, 2);
  expect_dtype(op, "x", x, operand_dtypes);
  expect_shape(op, "weight", weight, {weight.dim(0), x.dim(1)});
  expect_dtype(op, "weight", weight, {x.dtype()});
  expect_shape(op, "out", out, {x.dim(0), weight.dim(0)});
  expect_result(op, "out", out, x.dtype());
  if (bias.defined()) {
    expect_shape(op, "bias", bias, {weight.dim(0)});
    expect_dtype(op, "bias", bias, {master_dtype(x.dtype())});
  }
  const TensorProduct product = {x, weight, out, bias, {.transpose_b = true}};
  count_cost({.matrix_flops = flops_of(product),
              .weight_bytes = bytes_of(weight) + bytes_of(bias),
              .activation_bytes = bytes_of(x) + bytes_of(out)});
  run(product);
}

namespace {

void add_bias_gradient(const Tensor& d_out, const Tensor& d_bias) {
  if (runs_reference(d_out.dtype())) {
    ops::run_reference(d_out.dtype(), [&]<class T>(Staging<T>& staging) {
      ref::column_sums<T>({staging.in(d_out), d_out.dim(1), 1}, d_out.dim(0), d_out.dim(1),
                          staging.out(d_bias));
    });
  } else {
    add_column_sums(d_out, d_bias.data<float>(), matmul_kernels());
  }
}

}  // namespace

void linear_backward(const Tensor& x, const Tensor& weight, const Tensor& d_out, const Tensor& d_x,
                     const Tensor& d_weight, const Tensor& d_bias) {
  constexpr std::string_view op = "linear_backward";
  expect_rank(op, "x", x, 2);
  expect_rank(op, "weight", weight, 2);
  expect_rank(op, "d_out", d_out, 2);
  expect_dtype(op, "x", x, operand_dtypes);
  expect_shape(op, "weight", weight, {weight.dim(0), x.dim(1)});
  expect_dtype(op, "weight", weight, {x.dtype()});
  expect_shape(op, "d_out", d_out, {x.dim(0), weight.dim(0)});
  expect_dtype(op, "d_out", d_out, {x.dtype()});
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
    expect_dtype(op, "d_weight", d_weight, {master_dtype(x.dtype())});
    const TensorProduct product = {
        d_out, x, d_weight, {}, {.transpose_a = true, .accumulate = true}};
    count_cost({.matrix_flops = flops_of(product),
                .activation_bytes = bytes_of(d_out) + bytes_of(x) + 2 * bytes_of(d_weight)});
    run(product);
  }
  if (d_bias.defined()) {
    expect_shape(op, "d_bias", d_bias, {weight.dim(0)});
    expect_dtype(op, "d_bias", d_bias, {master_dtype(x.dtype())});
    count_cost({.other_flops = static_cast<double>(d_out.elements()),
                .activation_bytes = bytes_of(d_out) + 2 * bytes_of(d_bias)});
    if (!any_meta(d_out, d_bias)) {
      add_bias_gradient(d_out, d_bias);
    }
  }
}

}  // namespace sambay::ops
