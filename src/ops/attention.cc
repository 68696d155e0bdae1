#include "ops/attention.h"

#include <algorithm>

#include "base/cpu.h"
#include "ops/cost.h"
#include "ops/cpu/attention.h"
#include "ops/dispatch.h"
#include "ops/ref/attention.h"

namespace sambay::ops {
namespace {

// sum over y <= x of y clamped to [0, count].
double clamped_sum(double x, double count) {
  if (x <= 0) {
    return 0;
  }
  return x <= count ? x * (x + 1) / 2 : count * (count + 1) / 2 + count * (x - count);
}

struct MaskCount {
  double pairs = 0, keys = 0;  // (query, key) pairs, and keys that any query sees
  // Queries at [position, position + queries) against keys at [first, first + count).
  void add(int64_t position, int64_t queries, int64_t first, int64_t count, int64_t window) {
    // Below each query stand clamp(position + 1 - first) of the keys; the window hides the oldest.
    const auto below = [&](int64_t offset) {
      const auto x = static_cast<double>(position + offset - first);
      const auto n = static_cast<double>(queries), c = static_cast<double>(count);
      return clamped_sum(x + n - 1, c) - clamped_sum(x - 1, c);
    };
    pairs += below(1) - (window > 0 ? below(1 - window) : 0);
    const int64_t begin = window > 0 ? std::max(first, position - window + 1) : first;
    keys += static_cast<double>(
        std::max<int64_t>(0, std::min(first + count, position + queries) - begin));
  }
};

void check_map(std::string_view op, const AttentionOptions& options) {
  const HeadMap& map = options.map;
  if (map.heads < 1 || map.k_heads < 1 || map.head_dim < 1 || map.heads % map.k_heads != 0) {
    fail(op, "map: expected heads a multiple of key heads and a head size, got {}, {}, {}",
         map.heads, map.k_heads, map.head_dim);
  }
  if (map.paired && (map.heads % 2 != 0 || map.k_heads % 2 != 0)) {
    fail(op, "map: expected even numbers of heads in pairs, got {} and {}", map.heads, map.k_heads);
  }
  if (options.window < 0) {
    fail(op, "window: expected 0 or more, got {}", options.window);
  }
  if (!(options.scale > 0)) {
    fail(op, "scale: expected more than 0, got {}", options.scale);
  }
}

void check_heads_lie_together(std::string_view op, std::string_view field, const Tensor& t) {
  if (t.dim(1) > 1 && t.stride(1) != t.dim(2)) {
    fail(op, "{}: expected heads side by side, got a stride of {}", field, t.stride(1));
  }
}

void check_forward(const Tensor& q, const Segments& queries, const KvSpans& keys,
                   const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  constexpr auto op = "attention";
  check_map(op, options);
  const HeadMap& map = options.map;
  expect(op, "q", q, {queries.rows(), map.heads, map.head_dim},
         {DType::f64, DType::f32, DType::bf16});
  expect(op, "out", out, {queries.rows(), map.heads, map.v_dim()}, {q.dtype()});
  check_heads_lie_together(op, "out", out);
  if (lse.defined()) {
    expect(op, "lse", lse, {queries.rows(), map.heads}, {master_dtype(q.dtype())});
  }
  if (keys.dtype != q.dtype()) {
    fail(op, "keys: expected {}, got {}", name(q.dtype()), name(keys.dtype));
  }
  check(keys.begin.size() == static_cast<size_t>(queries.count()) + 1,
        "every segment has its spans");
}

double heads_of(const HeadMap& map) {
  return static_cast<double>(map.heads);
}

void count_forward(const Tensor& q, const Segments& queries, const KvSpans& keys,
                   const AttentionOptions& options, const Tensor& out) {
  if (!cost_is_metered()) {
    return;
  }
  const HeadMap& map = options.map;
  MaskCount mask;
  for (int s = 0; s < queries.count(); ++s) {
    const auto segment = static_cast<size_t>(s);
    for (auto i = static_cast<size_t>(keys.begin[segment]);
         i < static_cast<size_t>(keys.begin[segment + 1]); ++i) {
      mask.add(queries.past[segment], queries.rows(s), keys.spans[i].first, keys.spans[i].count,
               options.window);
    }
  }
  Cost cost;
  cost.matrix_flops =
      2 * mask.pairs * heads_of(map) * static_cast<double>(map.head_dim + map.v_dim());
  // Scale, maximum, exponential and sum.
  cost.other_flops = 4 * mask.pairs * heads_of(map);
  const KvTile tile(DType::u8, map.head_dim, map.tile_heads());
  const int64_t groups = map.k_heads / tile.heads;
  const double key_bytes = keys.eight_bits ? static_cast<double>(groups) * tile.elements_per_key()
                                           : static_cast<double>(2 * map.k_heads * map.head_dim) *
                                                 static_cast<double>(size_of(keys.dtype));
  cost.state_bytes = mask.keys * key_bytes;
  cost.activation_bytes = static_cast<double>(q.bytes() + out.bytes());
  count_cost(cost);
}

void check_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                    const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                    const Tensor& lse, const Tensor& d_out, const AttentionGradients& gradients) {
  constexpr auto op = "attention_backward";
  check_map(op, options);
  const HeadMap& map = options.map;
  const Shape q_shape = {queries.rows(), map.heads, map.head_dim};
  const Shape k_shape = {tokens.rows(), map.k_heads, map.head_dim};
  const Shape out_shape = {queries.rows(), map.heads, map.v_dim()};
  const DType dtype = q.dtype();
  expect(op, "q", q, q_shape, {DType::f64, DType::f32, DType::bf16});
  expect(op, "k", k, k_shape, {dtype});
  expect(op, "v", v, k_shape, {dtype});
  expect(op, "out", out, out_shape, {dtype});
  expect(op, "lse", lse, {queries.rows(), map.heads}, {master_dtype(dtype)});
  expect(op, "d_out", d_out, out_shape, {dtype});
  expect(op, "d_q", gradients.d_q, q_shape, {dtype});
  expect(op, "d_k", gradients.d_k, k_shape, {dtype});
  expect(op, "d_v", gradients.d_v, k_shape, {dtype});
  check(queries.count() == tokens.count(), "queries and tokens have the same segments");
  for (int s = 0; s < queries.count(); ++s) {
    const auto segment = static_cast<size_t>(s);
    check(queries.rows(s) <= tokens.rows(s) &&
              queries.past[segment] + queries.rows(s) == tokens.past[segment] + tokens.rows(s),
          "queries are suffixes of their segments");
  }
}

void count_backward(const Tensor& q, const Tensor& k, const Segments& queries,
                    const Segments& tokens, const AttentionOptions& options, const Tensor& out) {
  if (!cost_is_metered()) {
    return;
  }
  const HeadMap& map = options.map;
  MaskCount mask;
  for (int s = 0; s < queries.count(); ++s) {
    const auto segment = static_cast<size_t>(s);
    mask.add(queries.past[segment], queries.rows(s), tokens.past[segment], tokens.rows(s),
             options.window);
  }
  Cost cost;
  // Scores again, d_q and d_k over head_dim; d_v and the probabilities' gradients over v_dim.
  cost.matrix_flops =
      2 * mask.pairs * heads_of(map) * static_cast<double>(3 * map.head_dim + 2 * map.v_dim());
  cost.other_flops = 5 * mask.pairs * heads_of(map);
  cost.activation_bytes = static_cast<double>(2 * q.bytes() + 2 * out.bytes() + 4 * k.bytes());
  count_cost(cost);
}

}  // namespace

void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  check_forward(q, queries, keys, options, out, lse);
  count_forward(q, queries, keys, options, out);
  if (dry_reference(q.dtype(), q, out, lse)) {
    return;
  }
  if (q.dtype() == DType::f64) {
    ref::attention<double, double>(q, queries, keys, options, out, lse);
  } else if (isa() != Isa::reference) {
    cpu::attention(q, queries, keys, options, out, lse);
  } else if (q.dtype() == DType::f32) {
    ref::attention<float, float>(q, queries, keys, options, out, lse);
  } else {
    ref::attention<float, Bf16>(q, queries, keys, options, out, lse);
  }
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients) {
  check_backward(q, k, v, queries, tokens, options, out, lse, d_out, gradients);
  count_backward(q, k, queries, tokens, options, out);
  if (dry_reference(q.dtype(), q, k, v, out, d_out, gradients.d_q)) {
    return;
  }
  const auto run = [&](auto backward) {
    backward(q, k, v, queries, tokens, options, out, lse, d_out, gradients);
  };
  if (q.dtype() == DType::f64) {
    run(ref::attention_backward<double, double>);
  } else if (isa() != Isa::reference) {
    run(cpu::attention_backward);
  } else if (q.dtype() == DType::f32) {
    run(ref::attention_backward<float, float>);
  } else {
    run(ref::attention_backward<float, Bf16>);
  }
}

KvSpans fresh_spans(const Tensor& k, const Tensor& v, const Segments& tokens) {
  check(k.rank() == 3 && v.rank() == 3 && k.dim(0) == tokens.rows() && v.dim(0) == tokens.rows() &&
            k.dtype() == v.dtype(),
        "keys and values are (T, K, d) of one dtype");
  KvSpans out;
  out.dtype = k.dtype();
  for (int s = 0; s < tokens.count(); ++s) {
    const auto segment = static_cast<size_t>(s);
    const int64_t row = tokens.begin[segment];
    const Tensor keys = k.slice(0, row, row + tokens.rows(s));
    const Tensor values = v.slice(0, row, row + tokens.rows(s));
    out.spans.push_back({keys.raw(), values.raw(), tokens.past[segment], tokens.rows(s),
                         k.stride(0), k.stride(1), v.stride(0), v.stride(1)});
    out.end_segment();
  }
  return out;
}

}  // namespace sambay::ops
