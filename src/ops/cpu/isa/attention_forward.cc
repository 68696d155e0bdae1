// Flash attention, one block of queries in the lanes: scores and outputs stand transposed, so that
// keys and values are broadcast where they lie and softmax runs down the lanes without a horizontal
// step.
#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/simd/attention_blocks.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

struct Scratch {
  float* queries;  // (units of head_dim, 64)
  float* keys;     // (64, head_dim), only where keys cannot be read in place
  float* values;   // (64, v_dim) or pairs of rows (32, v_dim)
  float* scores;   // (64, 64), then probabilities of f32
  float* paired;   // (32, 64): probabilities in pairs of keys
  float* acc;      // (v_dim, 64)
  float* max;
  float* sum;

  Scratch(const QueryBlock& block, float* at)
      : queries(at),
        keys(queries + attention_lanes * padded16(block.head_dim)),
        values(keys + attention_lanes * padded16(block.head_dim)),
        scores(values + attention_lanes * padded16(block.v_dim)),
        paired(scores + attention_lanes * attention_keys),
        acc(paired + attention_lanes * attention_keys),
        max(acc + attention_lanes * padded16(block.v_dim)),
        sum(max + attention_lanes) {}
};

constexpr float infinity = __builtin_inff();

template <class Element>
void begin_with(const QueryBlock& block, float* memory) {
  const Scratch scratch(block, memory);
  // Rows that need a copy pass through acc's memory, which is cleared after.
  pack_lanes<Element>(block, static_cast<const Element*>(block.q), block.q_stride,
                      block.q_head_stride, block.head_dim, scratch.acc, scratch.queries);
  const int width = block.width();
  for (int n = 0; n < width; n += lanes) {
    store(scratch.max + n, set1(-infinity));
    store(scratch.sum + n, set1(0.0F));
    for (int64_t x = 0; x < block.v_dim; ++x) {
      store(scratch.acc + x * attention_lanes + n, set1(0.0F));
    }
  }
}

void begin(const QueryBlock& block, float* memory) {
  if (block.dtype == DType::bf16) {
    begin_with<Bf16>(block, memory);
  } else {
    begin_with<float>(block, memory);
  }
}

// Turns `count` rows of scores into probabilities against the new maximum, rescales what stands.
// Probabilities are stored times the scales of their values, if values have such.
template <bool pairs, bool scaled>
void softmax(const QueryBlock& block, int count, const float* value_scales,
             const Scratch& scratch) {
  const auto stored = [&](Vec p, int j) { return scaled ? p * set1(value_scales[j]) : p; };
  const Vec scale = set1(block.scale);
  const int width = block.width();
  for (int n = 0; n < width; n += lanes) {
    float* scores = scratch.scores + n;
    Vec top = load(scores);
    for (int j = 1; j < count; ++j) {
      top = max(top, load(scores + j * attention_lanes));
    }
    const Vec before = load(scratch.max + n);
    const Vec now = max(before, top * scale);
    store(scratch.max + n, now);
    // Lanes that have seen no key yet: anything finite keeps infinities from meeting.
    const Vec shift = max(now, set1(-3e38F));
    const Vec shrink = exp(before - shift);
    Vec sum = load(scratch.sum + n) * shrink;
    if constexpr (pairs) {
      for (int j = 0; j < count; j += 2) {
        const Vec a = exp(fma(load(scores + j * attention_lanes), scale, -shift));
        const Vec b = j + 1 < count
                          ? exp(fma(load(scores + (j + 1) * attention_lanes), scale, -shift))
                          : set1(0.0F);
        sum = sum + (a + b);
        const Vec next = j + 1 < count ? stored(b, j + 1) : b;
        store(scratch.paired + j / 2 * attention_lanes + n, pair_up(stored(a, j), next));
      }
    } else {
      for (int j = 0; j < count; ++j) {
        const Vec p = exp(fma(load(scores + j * attention_lanes), scale, -shift));
        sum = sum + p;
        store(scores + j * attention_lanes, stored(p, j));
      }
    }
    store(scratch.sum + n, sum);
    if (max_lane(abs(shrink - set1(1.0F))) > 0.0F) {
      for (int64_t x = 0; x < block.v_dim; ++x) {
        float* at = scratch.acc + x * attention_lanes + n;
        store(at, load(at) * shrink);
      }
    }
  }
}

void mask_scores(const QueryBlock& block, int64_t first_key, int count, float* scores) {
  VisibleKeys visible;
  find_visible(block, first_key, count, visible);
  if (visible.all) {
    return;
  }
  for (int n = 0; n < block.width(); n += lanes) {
    const Vec after = load(visible.after + n), before = load(visible.before + n);
    for (int j = 0; j < count; ++j) {
      const Vec key = set1(static_cast<float>(j));
      const Vec none = set1(-infinity);
      float* at = scores + j * attention_lanes + n;
      store(at,
            select(less_than(after, key), select(less_than(key, before), load(at), none), none));
    }
  }
}

// What keys in 8 bits leave to do: the scales of a run's keys and values; null: nothing.
struct Scales {
  const float* keys = nullptr;
  const float* values = nullptr;
};

void scale_scores(const QueryBlock& block, int count, const float* scales, float* scores) {
  for (int j = 0; j < count; ++j, scores += attention_lanes) {
    for (int n = 0; n < block.width(); n += lanes) {
      store(scores + n, load(scores + n) * set1(scales[j]));
    }
  }
}

// Takes in `count` keys from position `first` on. keys(): they as a broadcast operand;
// add_values(half, probabilities, units, acc) adds the sums over their values to acc (d, 64).
template <class Element, bool scaled = false, class Keys, class AddValues>
SAMBAY_INLINE void visit_block(const QueryBlock& block, const Scratch& scratch, int64_t first,
                               int count, Keys keys, AddValues add_values, Scales scales = {}) {
  constexpr bool pairs = in_pairs<Element>;
  const int64_t d = block.head_dim;
  product<pairs>(keys(), count, scratch.queries, attention_lanes, units_of<Element>(d),
                 scratch.scores, attention_lanes, block.width(), false);
  if constexpr (scaled) {
    scale_scores(block, count, scales.keys, scratch.scores);
  }
  mask_scores(block, first, count, scratch.scores);
  softmax<pairs, scaled>(block, count, scales.values, scratch);
  for (int64_t half = 0; half * d < block.v_dim; ++half) {
    add_values(half, pairs ? scratch.paired : scratch.scores, pairs ? (count + 1) / 2 : count,
               scratch.acc + half * d * attention_lanes);
  }
}

template <class Element>
void visit_rows(const QueryBlock& block, const KeyRun& run, float* memory) {
  const Scratch scratch(block, memory);
  const int64_t d = block.head_dim;
  // Blocks of like sizes, rather than full ones and a sliver; even, since keys come in pairs.
  const int64_t blocks = (run.count + attention_keys - 1) / attention_keys;
  const int64_t size = ((run.count + blocks - 1) / blocks + 1) / 2 * 2;
  for (int64_t done = 0; done < run.count; done += size) {
    const int count = static_cast<int>(run.count - done < size ? run.count - done : size);
    const Element* k = static_cast<const Element*>(run.k) + done * run.k_stride;
    const Element* v = static_cast<const Element*>(run.v) + done * run.v_stride;
    visit_block<Element>(
        block, scratch, run.first + done, count,
        [&] { return broadcast_rows(k, run.k_stride, d, count, scratch.keys); },
        [&](int64_t half, const float* p, int64_t units, float* acc) {
          product<in_pairs<Element>>(broadcast_columns(v + half * run.v_half_stride, run.v_stride,
                                                       d, count, scratch.values),
                                     d, p, attention_lanes, units, acc, attention_lanes,
                                     block.width(), true);
        });
  }
}

template <class Element>
void visit_tiles(const QueryBlock& block, const KeyRun& run, float* memory) {
  static_assert(tile_keys == attention_keys);
  const Scratch scratch(block, memory);
  const int64_t d = block.head_dim;
  const KvTile layout(block.dtype, d, 1);
  const auto* k = static_cast<const Element*>(run.k);
  const auto* v = static_cast<const Element*>(run.v);
  // A pair's first key may lie before the run; then the window hides it.
  int64_t begin = run.first % tile_keys / 2 * 2;
  for (int64_t tile = run.first - run.first % tile_keys; tile < run.first + run.count;
       tile += tile_keys, k += run.k_stride, v += run.v_stride, begin = 0) {
    const int64_t left = run.first + run.count - tile;
    const int count = static_cast<int>((left < tile_keys ? left : tile_keys) - begin);
    visit_block<Element>(
        block, scratch, tile + begin, count,
        [&] { return broadcast_tile_keys(k, begin, d, scratch.keys); },
        [&](int64_t half, const float* p, int64_t units, float* acc) {
          for (int64_t x = 0; x < d; x += KvTile::block_columns) {
            product<in_pairs<Element>>(
                broadcast_tile_values(v + half * run.v_half_stride + x * tile_keys, begin,
                                      layout.columns(x), scratch.values),
                d - x < KvTile::block_columns ? d - x : KvTile::block_columns, p, attention_lanes,
                units, acc + x * attention_lanes, attention_lanes, block.width(), true);
          }
        });
  }
}

// Tiles of u8 are widened to what the products multiply.
template <class Element>
void visit_tiles_of_8_bits(const QueryBlock& block, const KeyRun& run, float* memory) {
  constexpr bool pairs = in_pairs<Element>;
  constexpr int64_t unit = pairs ? 2 : 1;
  const Scratch scratch(block, memory);
  const int64_t d = block.head_dim;
  const KvTile layout(DType::u8, d, 1);
  int64_t begin = run.first % tile_keys / 2 * 2;
  int64_t behind = 0;  // of the first tile, in memory
  for (int64_t tile = run.first - run.first % tile_keys; tile < run.first + run.count;
       tile += tile_keys, behind += run.k_stride, begin = 0) {
    const int64_t left = run.first + run.count - tile;
    const int count = static_cast<int>((left < tile_keys ? left : tile_keys) - begin);
    const auto at = [&](const void* first) { return static_cast<const uint8_t*>(first) + behind; };
    const auto operand = [&](const float* rows, int64_t width) {
      return Broadcast{reinterpret_cast<const char*>(rows), 4, width * 4};
    };
    const auto keys = [&] {
      widen_fours<pairs>(at(run.k), (d + 3) / 4, tile_keys, scratch.keys);
      return operand(scratch.keys + begin, tile_keys);
    };
    const auto add_values = [&](int64_t half, const float* p, int64_t units, float* acc) {
      for (int64_t x = 0; x < d; x += KvTile::block_columns) {
        const int64_t width = layout.columns(x);
        widen_fours<pairs>(at(run.v) + half * run.v_half_stride + x * tile_keys, tile_keys / 4,
                           width, scratch.values);
        product<pairs>(operand(scratch.values + begin / unit * width, width),
                       d - x < KvTile::block_columns ? d - x : KvTile::block_columns, p,
                       attention_lanes, units, acc + x * attention_lanes, attention_lanes,
                       block.width(), true);
      }
    };
    visit_block<Element, true>(block, scratch, tile + begin, count, keys, add_values,
                               {reinterpret_cast<const float*>(at(run.k_scales)) + begin,
                                reinterpret_cast<const float*>(at(run.v_scales)) + begin});
  }
}

template <class Element>
void visit_with(const QueryBlock& block, const KeyRun& run, float* memory) {
  if (run.k_scales != nullptr) {
    visit_tiles_of_8_bits<Element>(block, run, memory);
  } else if (run.tiled) {
    visit_tiles<Element>(block, run, memory);
  } else {
    visit_rows<Element>(block, run, memory);
  }
}

void visit(const QueryBlock& block, const KeyRun& run, float* memory) {
  if (block.dtype == DType::bf16) {
    visit_with<Bf16>(block, run, memory);
  } else {
    visit_with<float>(block, run, memory);
  }
}

void finish(const QueryBlock& block, const float* memory, const AttentionPartial& partial) {
  const Scratch scratch(block, const_cast<float*>(memory));
  copy_row(scratch.max, block.rows(), partial.max);
  copy_row(scratch.sum, block.rows(), partial.sum);
  transpose([&](int64_t x) { return scratch.acc + x * attention_lanes; }, block.v_dim, block.rows(),
            partial.acc, block.v_dim);
}

template <class Element>
void merge_into(const AttentionPartial& partial, int row, int count, int64_t stride, int64_t v_dim,
                Element* out, float* lse) {
  float top = -infinity;
  for (int c = 0; c < count; ++c) {
    const float m = partial.max[c * stride + row];
    top = m > top ? m : top;
  }
  const float shift = top > -infinity ? top : 0.0F;
  float sum = 0;
  for (int c = 0; c < count; ++c) {
    float& weight = partial.max[c * stride + row];
    weight = first_lane(exp(set1(weight - shift)));
    sum += weight * partial.sum[c * stride + row];
  }
  const float inverse = sum > 0 ? 1.0F / sum : 0.0F;
  for_lanes(v_dim, [&](int64_t x, auto n) {
    Vec total = set1(0.0F);
    for (int c = 0; c < count; ++c) {
      const Vec weight = set1(partial.max[c * stride + row] * inverse);
      total = fma(load(partial.acc + c * stride + row * v_dim + x, n), weight, total);
    }
    store(out + x, total, n);
  });
  if (lse != nullptr) {
    *lse = sum > 0 ? top + first_lane(log(set1(sum))) : -infinity;
  }
}

void merge(const AttentionPartial& partial, int row, int count, int64_t stride, int64_t v_dim,
           DType dtype, void* out, float* lse) {
  if (dtype == DType::bf16) {
    merge_into(partial, row, count, stride, v_dim, static_cast<Bf16*>(out), lse);
  } else {
    merge_into(partial, row, count, stride, v_dim, static_cast<float*>(out), lse);
  }
}

}  // namespace

extern const AttentionForwardKernels attention_forward_kernels;
const AttentionForwardKernels attention_forward_kernels = {begin, visit, finish, merge};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
