#include "ops/quantized_linear.h"

#include <algorithm>

#include "base/parallel_pieces.h"
#include "ops/cost.h"
#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/product.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/ref/matmul.h"
#include "ops/ref/quantized_linear.h"

namespace sambay::ops {

SAMBAY_KERNELS(QuantizedKernels, quantized_kernels);
SAMBAY_KERNELS(MatmulKernels, matmul_kernels);

namespace {

// The fewest weights that a thread takes at a time: some us of streaming. Below so many bytes a
// second thread costs more than it brings.
constexpr int64_t piece_bytes = 1 << 17;
constexpr int64_t serial_bytes = 1 << 18;
// Numbers of x that are worth a thread of their own.
constexpr int64_t serial_inputs = 1 << 15;

struct Call {
  Tensor x;
  QuantizedMatrix weight;
  Tensor bias, out;

  int64_t rows() const { return x.dim(0); }
  const float* biases() const { return bias.defined() ? bias.data<float>() : nullptr; }
};

void run_reference(const Call& call) {
  Staging<float> staging;
  const float* x = staging.in(call.x);
  const float* bias = staging.in(call.bias);
  float* out = staging.out(call.out);
  const int64_t outs = call.weight.rows, in = call.weight.columns;
  if (call.rows() <= quantized_few_rows) {
    ref::quantized_linear(x, call.rows(), call.weight.view(), bias, out);
  } else {
    const Tensor weights = Tensor::empty({outs, in}, call.x.dtype(), reference_arena());
    dequantize(call.weight, weights);
    ref::matmul<float>({.m = call.rows(),
                        .n = outs,
                        .k = in,
                        .a = {x, in, 1},
                        .b = {staging.in(weights), 1, in},
                        .c = {out, outs, 1},
                        .bias = bias});
  }
  staging.finish();
}

void quantize_inputs(const Call& call, int64_t groups, QuantizedInput* inputs) {
  const bool bf16 = call.x.dtype() == DType::bf16;
  const auto size = static_cast<int64_t>(size_of(call.x.dtype()));
  const auto rows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      quantized_kernels().quantize_input(
          {.x = static_cast<const std::byte*>(call.x.raw()) + row * call.x.stride(0) * size,
           .bf16 = bf16,
           .offset = call.weight.bits == 8 ? quantized_offset8 : quantized_offset4,
           .count = call.weight.columns,
           .groups = groups,
           .out = inputs + row * groups});
    }
  };
  if (call.x.elements() <= serial_inputs) {
    rows(0, call.rows());
  } else {
    parallel_ranges(call.rows(), 1, rows);
  }
}

void run_few_rows(const Call& call) {
  const QuantizedMatrix& weight = call.weight;
  const int64_t groups = 2 * weight.data.dim(1);
  const int64_t input_bytes = call.rows() * groups * static_cast<int64_t>(sizeof(QuantizedInput));
  const Tensor workspace = Tensor::empty({input_bytes}, DType::u8, call.out.arena());
  if (any_meta(call.out)) {
    return;
  }
  auto* inputs = static_cast<QuantizedInput*>(workspace.raw());
  quantize_inputs(call, groups, inputs);
  const int64_t block_bytes = weight.data.dim(1) * weight.data.dim(2);
  const auto element = static_cast<int64_t>(size_of(call.out.dtype()));
  const QuantizedRows all = weight.view();
  const auto blocks = [&](int64_t begin, int64_t end) {
    const int64_t row = std::max<int64_t>(0, begin * quantized_block_rows - all.first);
    const int64_t row_end = std::min(end * quantized_block_rows - all.first, all.rows);
    quantized_kernels().few_rows({.x = inputs,
                                  .w = {.data = all.data + begin * block_bytes,
                                        .first = begin == 0 ? all.first : 0,
                                        .rows = row_end - row,
                                        .columns = all.columns,
                                        .bits = all.bits},
                                  .bias = call.bias.defined() ? call.biases() + row : nullptr,
                                  .c = static_cast<std::byte*>(call.out.raw()) + row * element,
                                  .c_stride = call.out.stride(0),
                                  .rows = call.rows(),
                                  .c_is_bf16 = call.out.dtype() == DType::bf16});
  };
  const int64_t count = weight.data.dim(0);
  if (count * block_bytes <= serial_bytes) {
    blocks(0, count);
  } else {
    parallel_pieces(count, std::max<int64_t>(1, piece_bytes / block_bytes),
                    [&](int64_t begin, int64_t end, int64_t) { blocks(begin, end); });
  }
}

void run_many_rows(const Call& call) {
  const bool f32 = call.x.dtype() == DType::f32;
  const bool meta = any_meta(call.out);
  const QuantizedRows weight =
      meta ? QuantizedRows{nullptr, 0, call.weight.rows, call.weight.columns, call.weight.bits}
           : call.weight.view();
  const Product product = {
      .m = call.rows(),
      .n = weight.rows,
      .k = weight.columns,
      .dtype = call.x.dtype(),
      .a = call.x.raw(),
      .a_row = call.x.stride(0),
      .a_k = 1,
      .b = nullptr,
      .b_k = 1,
      .b_column = 0,
      .c = call.out.raw(),
      .c_row = call.out.stride(0),
      .c_dtype = call.out.dtype(),
      .bias = call.biases(),
      .quantized = &weight,
      .pack_quantized = f32 ? quantized_kernels().pack_f32 : quantized_kernels().pack_bf16};
  multiply(product, matmul_kernels(), call.out.arena());
}

}  // namespace

void quantized_linear(const Tensor& x, const QuantizedMatrix& weight, const Tensor& bias,
                      const Tensor& out) {
  constexpr std::string_view op = "quantized_linear";
  expect(op, "x", x, {-1, weight.columns}, {DType::f32, DType::bf16});
  expect(op, "out", out, {x.dim(0), weight.rows}, {DType::f32, DType::bf16});
  if (bias.defined()) {
    expect(op, "bias", bias, {weight.rows}, {DType::f32});
  }
  count_cost(
      {.matrix_flops = 2.0 * static_cast<double>(x.elements()) * static_cast<double>(weight.rows),
       .weight_bytes = bytes_of(weight.data, bias),
       .activation_bytes = bytes_of(x, out)});
  check(any_meta(x) == any_meta(out) && any_meta(weight.data) == any_meta(out),
        "the operands of a product are on one device");
  if (dry_reference(x.dtype(), out) || x.dim(0) == 0) {
    return;
  }
  const Call call = {x, weight, bias, out};
  if (runs_reference(x.dtype())) {
    run_reference(call);
  } else if (x.dim(0) <= quantized_few_rows) {
    run_few_rows(call);
  } else {
    run_many_rows(call);
  }
}

}  // namespace sambay::ops
