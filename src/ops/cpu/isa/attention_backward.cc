// The backward of flash attention, 64 queries in the lanes against 64 keys. Scores stand as in the
// forward, keys down and queries across; then
//   d_v += P d_out,  d_k += dS q   with keys down and head elements across,
//   d_q^T += k^T dS                with head elements down and queries across,
// so that no operand is transposed inside the loop: q and d_out are laid out both ways once per
// block.
#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/simd/attention_blocks.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Cuts arrays from memory one after another, or only adds up their sizes if there is none.
struct Carver {
  float* memory;
  int64_t floats = 0;

  float* take(int64_t count) {
    float* at = memory == nullptr ? nullptr : memory + floats;
    floats += count;
    return at;
  }
};

template <class Element>
struct Record {
  float* q;           // (units of head_dim, 64)
  float* q_rows;      // (64 / 1 or 2, head_dim padded)
  float* d_out;       // per half (units of head_dim, 64)
  float* d_out_rows;  // (64 / 1 or 2, v_dim padded)
  float* lse;
  float* delta;  // sum over v_dim of d_out * out
  float* d_q;    // (head_dim, 64), without the scale
  int64_t floats;

  Record(const QueryBlock& block, float* memory) {
    constexpr int64_t depth = in_pairs<Element> ? attention_lanes / 2 : attention_lanes;
    const int64_t units = padded16(units_of<Element>(block.head_dim));
    Carver carver{memory};
    q = carver.take(units * attention_lanes);
    q_rows = carver.take(depth * padded16(block.head_dim));
    d_out = carver.take(block.v_dim / block.head_dim * units * attention_lanes);
    d_out_rows = carver.take(depth * padded16(block.v_dim));
    lse = carver.take(attention_lanes);
    delta = carver.take(attention_lanes);
    d_q = carver.take(padded16(block.head_dim) * attention_lanes);
    floats = carver.floats;
  }
};

struct Scratch {
  float *k_rows, *k_columns, *v_rows[2];  // copies of what cannot be read in place
  float *d_k, *d_v;                       // (64, head_dim or v_dim, padded)
  float *scores, *d_scores;               // (64, 64); in the end P and dS of f32
  float *p_rows, *d_s_rows;               // (64, 64) bf16
  float* d_s_pairs;                       // (32, 64) pairs of keys
  float* rows;                            // (64, v_dim padded)
  int64_t floats;

  Scratch(const QueryBlock& block, float* memory) {
    constexpr int64_t square = int64_t{attention_keys} * attention_lanes;
    const int64_t wide = attention_keys * padded16(block.head_dim);
    const int64_t v_wide = attention_keys * padded16(block.v_dim);
    Carver carver{memory};
    k_rows = carver.take(wide);
    k_columns = carver.take(wide);
    v_rows[0] = carver.take(wide);
    v_rows[1] = carver.take(wide);
    d_k = carver.take(wide);
    d_v = carver.take(v_wide);
    scores = carver.take(square);
    d_scores = carver.take(square);
    p_rows = carver.take(square / 2);
    d_s_rows = carver.take(square / 2);
    d_s_pairs = carver.take(square / 2);
    rows = carver.take(v_wide);
    floats = carver.floats;
  }
};

// Chooses by the dtype of the block: body(Element{}).
template <class Body>
SAMBAY_INLINE auto with_element(const QueryBlock& block, Body body) {
  return block.dtype == DType::bf16 ? body(Bf16{}) : body(0.0F);
}

int64_t record_floats(const QueryBlock& block) {
  return with_element(block, [&](auto element) -> int64_t {
    return Record<decltype(element)>(block, nullptr).floats;
  });
}

int64_t scratch_floats(const QueryBlock& block) {
  return Scratch(block, nullptr).floats;
}

// The lanes' rows as the right operand of a sum over lanes: (width / 1 or 2, padded dim).
template <class Element>
void stack_lanes(const QueryBlock& block, const Element* from, int64_t stride, int64_t head_stride,
                 int64_t dim, float* to) {
  const int64_t width = padded16(dim);
  const auto row = [&](int lane) { return lane_row(block, from, stride, head_stride, lane); };
  constexpr int step = in_pairs<Element> ? 2 : 1;
  for (int lane = 0; lane < block.width(); lane += step, to += width) {
    if (lane >= block.rows()) {
      store_zeros(to, width);
    } else if constexpr (in_pairs<Element>) {
      interleave(row(lane), lane + 1 < block.rows() ? row(lane + 1) : nullptr, dim, width, to);
    } else {
      copy_row(row(lane), dim, to);
      store_zeros(to + dim, width - dim);
    }
  }
}

template <class Element>
void prepare_with(const QueryBlock& block, const BlockGradients& g, float* memory,
                  float* scratch_memory) {
  const Record<Element> record(block, memory);
  const Scratch scratch(block, scratch_memory);
  const int64_t d = block.head_dim;
  const auto* q = static_cast<const Element*>(block.q);
  const auto* d_out = static_cast<const Element*>(g.d_out);
  const auto* out = static_cast<const Element*>(g.out);
  pack_lanes(block, q, block.q_stride, block.q_head_stride, d, scratch.rows, record.q);
  stack_lanes(block, q, block.q_stride, block.q_head_stride, d, record.q_rows);
  for (int64_t half = 0; half * d < block.v_dim; ++half) {
    pack_lanes(block, d_out + half * d, g.d_out_stride, g.d_out_head_stride, d, scratch.rows,
               record.d_out + half * padded16(units_of<Element>(d)) * attention_lanes);
  }
  stack_lanes(block, d_out, g.d_out_stride, g.d_out_head_stride, block.v_dim, record.d_out_rows);
  for (int lane = 0; lane < block.width(); ++lane) {
    // Infinity makes every probability of the lane zero.
    float lse = __builtin_inff(), delta = 0.0F;
    if (lane < block.rows()) {
      const float given =
          g.lse[lane / block.heads * g.lse_stride + lane % block.heads * g.lse_head_stride];
      lse = given > -__builtin_inff() ? given : lse;
      const Element* a = lane_row(block, d_out, g.d_out_stride, g.d_out_head_stride, lane);
      const Element* b = lane_row(block, out, g.out_stride, g.out_head_stride, lane);
      Vec total = set1(0.0F);
      for_lanes(block.v_dim,
                [&](int64_t x, auto n) { total = fma(load(a + x, n), load(b + x, n), total); });
      delta = sum(total);
    }
    record.lse[lane] = lse;
    record.delta[lane] = delta;
  }
  store_zeros(record.d_q, d * attention_lanes);
}

void prepare(const QueryBlock& block, const BlockGradients& gradients, float* record,
             float* scratch) {
  with_element(block, [&](auto element) {
    prepare_with<decltype(element)>(block, gradients, record, scratch);
  });
}

// Where begin_keys has put, or left, a block of keys.
template <class Element, bool copy>
struct Keys {
  Broadcast rows, columns, values[2];

  Keys(const QueryBlock& block, const KeyRun& run, const Scratch& scratch) {
    const auto* k = static_cast<const Element*>(run.k);
    const auto* v = static_cast<const Element*>(run.v);
    const int64_t d = block.head_dim;
    const int count = copy ? static_cast<int>(run.count) : 0;
    rows = broadcast_rows(k, run.k_stride, d, count, scratch.k_rows);
    columns = broadcast_columns(k, run.k_stride, d, count, scratch.k_columns);
    values[0] = broadcast_rows(v, run.v_stride, d, count, scratch.v_rows[0]);
    values[1] = values[0];
    if (block.v_dim > d) {
      values[1] = broadcast_rows(v + run.v_half_stride, run.v_stride, d, count, scratch.v_rows[1]);
    }
  }

  // Leaves out the first `count` keys, an even number.
  void skip(int64_t count) {
    rows.at += count * rows.row;
    values[0].at += count * values[0].row;
    values[1].at += count * values[1].row;
    columns.at += (in_pairs<Element> ? count / 2 : count) * columns.step;
  }
};

void begin_keys(const QueryBlock& block, const KeyRun& run, bool new_values, float* memory) {
  const Scratch scratch(block, memory);
  with_element(block, [&](auto element) {
    const Keys<decltype(element), true> copied(block, run, scratch);
    (void)copied;
  });
  store_zeros(scratch.d_k, run.count * padded16(block.head_dim));
  if (new_values) {
    store_zeros(scratch.d_v, run.count * padded16(block.v_dim));
  }
}

// P = exp(scale score - lse) and dS = P (dP - delta), written as each product wants them.
template <class Element>
void differentiate(const QueryBlock& block, const Record<Element>& record, const KeyRun& run,
                   const Scratch& scratch) {
  const int count = static_cast<int>(run.count);
  VisibleKeys visible;
  find_visible(block, run.first, count, visible);
  const Vec scale = set1(block.scale), zero = set1(0.0F);
  auto* p_rows = reinterpret_cast<Bf16*>(scratch.p_rows);
  auto* d_s_rows = reinterpret_cast<Bf16*>(scratch.d_s_rows);
  for (int n = 0; n < block.width(); n += lanes) {
    const Vec minus_lse = -load(record.lse + n), delta = load(record.delta + n);
    const Vec after = visible.all ? zero : load(visible.after + n);
    const Vec before = visible.all ? zero : load(visible.before + n);
    const auto probability = [&](int j) {
      const Vec p = exp(fma(load(scratch.scores + j * attention_lanes + n), scale, minus_lse));
      if (visible.all) {
        return p;
      }
      const Vec key = set1(static_cast<float>(j));
      return select(less_than(after, key), select(less_than(key, before), p, zero), zero);
    };
    const auto d_score = [&](int j, Vec p) {
      return p * (load(scratch.d_scores + j * attention_lanes + n) - delta);
    };
    if constexpr (in_pairs<Element>) {
      for (int j = 0; j < count; j += 2) {
        const int at = j * attention_lanes + n;
        const Vec p = probability(j), d_s = d_score(j, p);
        Vec next = zero;
        store(p_rows + at, p);
        store(d_s_rows + at, d_s);
        if (j + 1 < count) {
          const Vec q = probability(j + 1);
          next = d_score(j + 1, q);
          store(p_rows + at + attention_lanes, q);
          store(d_s_rows + at + attention_lanes, next);
        }
        store(scratch.d_s_pairs + j / 2 * attention_lanes + n, pair_up(d_s, next));
      }
    } else {
      for (int j = 0; j < count; ++j) {
        const Vec p = probability(j);
        store(scratch.scores + j * attention_lanes + n, p);
        store(scratch.d_scores + j * attention_lanes + n, d_score(j, p));
      }
    }
  }
}

template <class Element>
void visit_with(const QueryBlock& block, const KeyRun& run, float* record_memory,
                float* scratch_memory) {
  constexpr bool pairs = in_pairs<Element>;
  constexpr int64_t row_bytes = attention_lanes * (pairs ? 2 : 4);
  const Record<Element> record(block, record_memory);
  const Scratch scratch(block, scratch_memory);
  Keys<Element, false> keys(block, run, scratch);
  // Only the keys that some query of the block sees, from an even one on, since keys come in pairs.
  const int64_t oldest = block.first - run.first - block.window + 1;
  const int64_t begin = oldest > 0 ? oldest / 2 * 2 : 0;
  const int64_t newest = block.first + block.queries - run.first;
  KeyRun seen = run;
  seen.first += begin;
  seen.count = (newest < run.count ? newest : run.count) - begin;
  keys.skip(begin);
  const int64_t d = block.head_dim, units = units_of<Element>(d);
  const int64_t count = seen.count, width = block.width();
  product<pairs>(keys.rows, count, record.q, attention_lanes, units, scratch.scores,
                 attention_lanes, width, false);
  for (int64_t half = 0; half * d < block.v_dim; ++half) {
    product<pairs>(keys.values[half], count,
                   record.d_out + half * padded16(units) * attention_lanes, attention_lanes, units,
                   scratch.d_scores, attention_lanes, width, half > 0);
  }
  differentiate(block, record, seen, scratch);
  const float* p = pairs ? scratch.p_rows : scratch.scores;
  const float* d_s = pairs ? scratch.d_s_rows : scratch.d_scores;
  const int64_t depth = pairs ? width / 2 : width;
  const int64_t d_width = padded16(d), v_width = padded16(block.v_dim);
  product<pairs>({reinterpret_cast<const char*>(p), row_bytes, 4}, count, record.d_out_rows,
                 v_width, depth, scratch.d_v + begin * v_width, v_width, v_width, true);
  product<pairs>({reinterpret_cast<const char*>(d_s), row_bytes, 4}, count, record.q_rows, d_width,
                 depth, scratch.d_k + begin * d_width, d_width, d_width, true);
  product<pairs>(keys.columns, d, pairs ? scratch.d_s_pairs : scratch.d_scores, attention_lanes,
                 pairs ? (count + 1) / 2 : count, record.d_q, attention_lanes, width, true);
}

void visit(const QueryBlock& block, const KeyRun& run, float* record, float* scratch) {
  with_element(block,
               [&](auto element) { visit_with<decltype(element)>(block, run, record, scratch); });
}

template <class Element>
void store_scaled(const float* from, int64_t count, Vec scale, Element* to) {
  for_lanes(count, [&](int64_t x, auto n) { store(to + x, load(from + x, n) * scale, n); });
}

void store_keys(const QueryBlock& block, int count, const float* memory, const KeyGradients& to) {
  const Scratch scratch(block, const_cast<float*>(memory));
  const int64_t d = block.head_dim;
  with_element(block, [&](auto element) {
    using Element = decltype(element);
    for (int64_t j = 0; j < count; ++j) {
      if (to.d_k != nullptr) {
        store_scaled(scratch.d_k + j * padded16(d), d, set1(block.scale),
                     static_cast<Element*>(to.d_k) + j * to.d_k_stride);
      }
      for (int64_t half = 0; to.d_v != nullptr && half * d < block.v_dim; ++half) {
        store_scaled(scratch.d_v + j * padded16(block.v_dim) + half * d, d, set1(1.0F),
                     static_cast<Element*>(to.d_v) + j * to.d_v_stride + half * to.d_v_half_stride);
      }
    }
  });
}

void store_queries(const QueryBlock& block, const float* record_memory, const BlockGradients& to,
                   float* scratch_memory) {
  const Scratch scratch(block, scratch_memory);
  const int64_t d = block.head_dim;
  with_element(block, [&](auto element) {
    using Element = decltype(element);
    const Record<Element> record(block, const_cast<float*>(record_memory));
    transpose([&](int64_t x) { return record.d_q + x * attention_lanes; }, d, block.rows(),
              scratch.rows, d);
    for (int lane = 0; lane < block.rows(); ++lane) {
      store_scaled(scratch.rows + lane * d, d, set1(block.scale),
                   static_cast<Element*>(to.d_q) + lane / block.heads * to.d_q_stride +
                       lane % block.heads * to.d_q_head_stride);
    }
  });
}

}  // namespace

extern const AttentionBackwardKernels attention_backward_kernels;
const AttentionBackwardKernels attention_backward_kernels = {
    record_floats, scratch_floats, prepare, begin_keys, visit, store_keys, store_queries};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
