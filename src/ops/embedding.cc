#include <algorithm>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/dispatch.h"
#include "ops/elementwise.h"

namespace sambay::ops {
namespace {

void check_ids(std::string_view op, std::span<const int32_t> ids, int64_t vocabulary) {
  for (size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] < 0 || ids[t] >= vocabulary) {
      fail(op, "ids[{}]: expected 0 to {}, got {}", t, vocabulary - 1, ids[t]);
    }
  }
}

// d_table[ids[t]] += d_out[t] for the columns [begin, end), in the order of t.
template <class From, class To>
void scatter_columns(std::span<const int32_t> ids, const Tensor& d_out, const Tensor& d_table,
                     int64_t begin, int64_t end) {
  for (size_t t = 0; t < ids.size(); ++t) {
    const From* from = d_out.data<From>() + static_cast<int64_t>(t) * d_out.stride(0);
    To* to = d_table.data<To>() + ids[t] * d_table.stride(0);
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (std::is_same_v<From, Bf16>) {
        to[i] += to_float(from[i]);
      } else {
        to[i] += from[i];
      }
    }
  }
}

}  // namespace

void embedding(std::span<const int32_t> ids, const Tensor& table, const Tensor& out) {
  constexpr std::string_view op = "embedding";
  expect_rank(op, "table", table, 2);
  const DType dtype = table.dtype();
  expect_dtype(op, "table", table, {DType::f64, DType::f32, DType::bf16});
  expect(op, "out", out, {static_cast<int64_t>(ids.size()), table.dim(1)},
         {dtype, master_dtype(dtype)});
  count_cost({.weight_bytes = static_cast<double>(ids.size()) * static_cast<double>(table.dim(1)) *
                              static_cast<double>(size_of(dtype)),
              .activation_bytes = bytes_of(out)});
  if (any_meta(table, out)) {
    return;
  }
  check_ids(op, ids, table.dim(0));
  parallel_ranges(static_cast<int64_t>(ids.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = ids[static_cast<size_t>(t)];
      convert(table.slice(0, id, id + 1), out.slice(0, t, t + 1));
    }
  });
}

void embedding(std::span<const int32_t> ids, const QuantizedMatrix& table, const Tensor& out) {
  constexpr std::string_view op = "embedding";
  const auto count = static_cast<int64_t>(ids.size());
  expect(op, "out", out, {count, table.columns}, {DType::f32, DType::bf16});
  count_cost({.weight_bytes = static_cast<double>(table.data.dim(1) * table.data.dim(2) * count) /
                              static_cast<double>(quantized_block_rows),
              .activation_bytes = bytes_of(out)});
  if (any_meta(table.data, out)) {
    return;
  }
  check_ids(op, ids, table.rows);
  parallel_ranges(count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = ids[static_cast<size_t>(t)];
      dequantize(table.slice(id, id + 1), out.slice(0, t, t + 1));
    }
  });
}

void embedding_backward(std::span<const int32_t> ids, const Tensor& d_out, const Tensor& d_table) {
  constexpr std::string_view op = "embedding_backward";
  expect_rank(op, "d_table", d_table, 2);
  const int64_t D = d_table.dim(1);
  expect_shape(op, "d_out", d_out, {static_cast<int64_t>(ids.size()), D});
  expect_dtype(op, "d_table", d_table, {master_dtype(d_out.dtype())});
  count_cost(
      {.other_flops = static_cast<double>(d_out.elements()),
       .activation_bytes = bytes_of(d_out) + 2 * static_cast<double>(d_out.elements()) *
                                                 static_cast<double>(size_of(d_table.dtype()))});
  if (any_meta(d_out, d_table)) {
    return;
  }
  check_ids(op, ids, d_table.dim(0));
  // Threads split the columns, so that rows of one id are summed in order.
  parallel_ranges(D, 64, [&](int64_t begin, int64_t end) {
    switch (d_out.dtype()) {
      case DType::f64:
        return scatter_columns<double, double>(ids, d_out, d_table, begin, end);
      case DType::f32:
        return scatter_columns<float, float>(ids, d_out, d_table, begin, end);
      case DType::bf16:
        return scatter_columns<Bf16, float>(ids, d_out, d_table, begin, end);
      default:
        invariant_broken("gradients are floating-point numbers");
    }
  });
}

}  // namespace sambay::ops
