// What decoding attention keeps of a few rows while it visits their keys, and its softmax.
#pragma once

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/simd/attention_blocks.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr float infinity = __builtin_inff();

struct DecodeScratch {
  float* q;        // (rows, q_stride): units of bf16 or floats, zeros behind head_dim
  float* scores;   // (rows, tile_keys), then the probabilities as the products take them
  float* max;      // (rows), of scores times scale and log2(e)
  float* sum;      // (rows, 16): a sum in each lane
  float* acc;      // (rows, v_dim), and room behind it for what is added to padding
  float* widened;  // part of a tile
  int64_t q_stride;

  DecodeScratch(const QueryBlock& block, float* at)
      : q(at), q_stride(padded16(block.head_dim) + 16) {
    scores = q + decode_rows * q_stride;
    sum = scores + decode_rows * tile_keys;
    acc = sum + decode_rows * 16;
    max = acc + decode_rows * block.v_dim + 16;
    widened = max + padded16(decode_rows);
  }
};

// Which of the keys [from, to), counted from position `origin`, a lane of a block sees.
struct Visible {
  int64_t begin, end;

  Visible(const QueryBlock& block, int lane, int64_t origin, int64_t from, int64_t to)
      : begin(block.first + lane / block.heads - origin - block.window + 1),
        end(block.first + lane / block.heads - origin + 1) {
    begin = begin > from ? begin : from;
    end = end < to ? end : to;
  }
};

// Scores of a row against `count` keys to probabilities; acc, max and sum follow. `whole`: count is
// tile_keys, which unrolls the loops.
template <bool whole, class Element>
void soften_row(const QueryBlock& block, const Visible& seen, int count,
                const DecodeScratch& scratch, int row) {
  float* scores = scratch.scores + row * tile_keys;
  const int padded = whole ? tile_keys : static_cast<int>(padded16(count));
  for (int64_t j = 0; j < seen.begin && j < count; ++j) {
    scores[j] = -infinity;
  }
  for (int64_t j = seen.end > 0 ? seen.end : 0; j < padded; ++j) {
    scores[j] = -infinity;
  }
  const Vec scale = set1(block.scale * 1.44269504088896341F);  // powers of two are cheaper
  Vec top = load(scores);
#pragma GCC unroll 4
  for (int j = lanes; j < padded; j += lanes) {
    top = max(top, load(scores + j));
  }
  float* sum = scratch.sum + row * 16;
  float& maximum = scratch.max[row];
  // Few tiles have a new maximum.
  if (any(less_than(set1(maximum), top * scale))) {
    const float now = max_lane(top * scale);
    const Vec shrink = exp2_decay(set1(maximum - now));
    maximum = now;
    store(sum, load(sum) * shrink);
    float* acc = scratch.acc + row * block.v_dim;
    for_lanes(block.v_dim,
              [&](int64_t x, auto n) { store(acc + x, load(acc + x, n) * shrink, n); });
  }
  if (maximum == -infinity) {  // no key yet
    store_zeros(scores, padded);
    return;
  }
  const Vec minus_shift = set1(-maximum);
  Vec total = load(sum);
#pragma GCC unroll 4
  for (int j = 0; j < padded; j += lanes) {
    const Vec p = exp2_decay(fma(load(scores + j), scale, minus_shift));
    total = total + p;
    if constexpr (in_pairs<Element>) {
      store(reinterpret_cast<Bf16*>(scores) + j, p);  // over scores that were read
    } else {
      store(scores + j, p);
    }
  }
  store(sum, total);
}

[[maybe_unused]] void finish_rows(const QueryBlock* blocks, int count, const float* memory,
                                  const AttentionPartial& partial) {
  const DecodeScratch scratch(blocks[0], const_cast<float*>(memory));
  int64_t rows = 0;
  for (int b = 0; b < count; ++b) {
    rows += blocks[b].rows();
  }
  for (int64_t row = 0; row < rows; ++row) {
    partial.max[row] = scratch.max[row] * 0.693147180559945309F;
    partial.sum[row] = sum(load(scratch.sum + row * 16));
  }
  copy_row(scratch.acc, rows * blocks[0].v_dim, partial.acc);
}

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
