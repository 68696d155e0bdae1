// Softmax attention over packed segments: full, windowed, cross and the two halves of differential
// attention are the same op with other keys (spec section 4).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/kv_tiles.h"
#include "ops/segments.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// Which key and value head a query head reads.
struct HeadMap {
  int64_t heads = 0;    // query heads H
  int64_t k_heads = 0;  // K
  int64_t head_dim = 0;
  // false: query head n reads key head n / (H / K) and the value head of the same index, width
  // head_dim. true (differential): query heads 2n and 2n + 1 read key heads 2m and 2m + 1, m = n /
  // (H / K), and both read value heads 2m and 2m + 1 side by side, width 2 head_dim. H and K are
  // even.
  bool paired = false;

  // Key heads whose tiles lie together.
  int64_t tile_heads() const { return paired ? 2 : 1; }
  int64_t v_dim() const { return paired ? 2 * head_dim : head_dim; }
  int64_t v_heads() const { return paired ? k_heads / 2 : k_heads; }
  int64_t k_head(int64_t n) const {
    return paired ? 2 * (n / 2 / (heads / k_heads)) + n % 2 : n / (heads / k_heads);
  }
  int64_t v_head(int64_t n) const {
    return paired ? n / 2 / (heads / k_heads) : n / (heads / k_heads);
  }
};

struct AttentionOptions {
  HeadMap map;
  int64_t window = 0;  // keys that a query sees, itself included; 0: all before it
  float scale = 1.0F;  // c of the spec, above 0
};

// A run of consecutive keys and values of one sequence, in whatever memory they lie: fresh rows, a
// ring, a page. Element (token i, head h, x) of k is at k[i * k_token_stride + h * k_head_stride +
// x], so also v; value head strides count heads of width head_dim (a pair's second half is the next
// head).
struct KvSpan {
  const void* k = nullptr;
  const void* v = nullptr;
  int64_t first = 0;  // position in the sequence of token 0
  int64_t count = 0;
  int64_t k_token_stride = 0, k_head_stride = 0, v_token_stride = 0, v_head_stride = 0;
  // Instead of k and v: tiles, from those that hold token 0. Heads that are paired share one.
  KvTiles tiles = {};
};

// For each query segment the spans that hold its sequence's keys, by ascending position, each
// position at most once. Queries see keys at positions <= their own.
struct KvSpans {
  std::vector<KvSpan> spans;
  std::vector<int32_t> begin = {0};  // segment s has spans [begin[s], begin[s + 1])
  DType dtype = DType::f32;          // of rows, and of tiles unless in 8 bits
  bool eight_bits = false;           // all spans are tiles of u8
  void end_segment() { begin.push_back(static_cast<int32_t>(spans.size())); }
};

// out (Q, H, v_dim) = softmax(scale q k^T) v. q (Q, H, d), out contiguous in the last two
// dimensions, rows may be strided; f64, f32, bf16, the spans' dtype (f32 or bf16 beside 8 bits).
// `queries` gives the rows and positions of q. lse (Q, H) f32 (f64) receives log sum exp for the
// backward, or is undefined. A query that sees no key gives zeros. Softmax in fp32; one query
// against many keys runs at the speed of memory.
void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse = {});

// Keys and values as fresh rows k (T, K, d), v (T, K, d) laid out as `tokens`; `queries` are
// suffixes of them. d_q, d_k, d_v are overwritten (d_k, d_v with zeros where no query looks).
struct AttentionGradients {
  Tensor d_q, d_k, d_v;
};
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients);

// The spans of fresh rows: one a segment.
KvSpans fresh_spans(const Tensor& k, const Tensor& v, const Segments& tokens);

// The differential step (spec section 4): of attn (T, H, 2 d), halves 2n and 2n + 1 give
//   o = attn[2n] - lambda attn[2n + 1];   out[n] = RMS(o; subln, eps) * (1 - lambda_init)
// out (T, H / 2, 2 d), which is also (T, H d). lambda = exp(sum q1 k1) - exp(sum q2 k2) +
// lambda_init.
struct DifferentialInputs {
  Tensor attn;
  Tensor lambda_q1, lambda_k1, lambda_q2, lambda_k2;  // (d) each, f32 (f64)
  Tensor subln;                                       // (2 d), f32 (f64)
  float lambda_init = 0;
  float eps = 1e-5F;
};
void differential(const DifferentialInputs& in, const Tensor& out);
// d_attn overwritten; the five vectors' gradients are added to, in the order of the struct.
void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients);

}  // namespace sambay::ops
