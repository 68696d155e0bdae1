#include "ops/cpu/quantized_linear_kernels.h"
#include "ops/cpu/simd/gemm.h"
#include "ops/cpu/simd/group_sum.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr int64_t B = quantized_block_rows, C = quantized_record_columns, G = quantized_group;
constexpr int parts = static_cast<int>(B) / lanes;  // vectors of a block's rows

// Scales of the first and the second group of a record for one part of its rows.
struct RecordScales {
  Vec scales[2];
};
SAMBAY_INLINE RecordScales record_scales(const uint8_t* record, int part) {
  const Ints both = load_ints(record + part * lanes * 4);
  return {{from_low_halves(both), from_high_halves(both)}};
}

template <class T>
SAMBAY_INLINE void quantize_group(const T* x, int64_t count, int32_t offset, QuantizedInput& out) {
  constexpr int vecs = static_cast<int>(G) / lanes;
  Vec values[vecs];
  Vec largest = set1(0.0F), poison = set1(0.0F);
  for (int i = 0; i < vecs; ++i) {
    const int64_t rest = count - i * lanes;
    values[i] = rest >= lanes ? load(x + i * lanes)
                : rest > 0    ? load_n(x + i * lanes, static_cast<int>(rest))
                              : set1(0.0F);
    largest = max(largest, abs(values[i]));
    poison = poison + values[i] * set1(0.0F);
  }
  const float max_size = max_lane(largest), not_finite = sum(poison);
  float inverse = 127.0F / max_size;
  out.scale = max_size / 127.0F;
  if (not_finite != 0 || max_size < quantized_smallest_input) {  // NaN is not 0
    inverse = 0;
    out.scale = not_finite;
    for (int i = 0; i < vecs; ++i) {
      values[i] = set1(0.0F);
    }
  }
  Vec total = set1(0.0F);
  for (int i = 0; i < vecs; ++i) {
    const Vec q = round(values[i] * set1(inverse));
    total = total + q;
    store_int8(out.q + i * lanes, q);
  }
  out.correction = -offset * static_cast<int32_t>(sum(total));
}

template <class T>
void quantize_row(const QuantizeInput& input) {
  const auto* x = static_cast<const T*>(input.x);
  for (int64_t g = 0; g < input.groups; ++g) {
    quantize_group(x + g * G, input.count - g * G, input.offset, input.out[g]);
  }
}

void quantize_input(const QuantizeInput& input) {
  input.bf16 ? quantize_row<Bf16>(input) : quantize_row<float>(input);
}

constexpr int rows_at_once = 4;

// One pass over a block: with rows of x beyond the second, arithmetic hides the end of the stream
// from the hardware's prefetcher, and each pass fetches its share of the next block.
struct Pass {
  const uint8_t* block;
  int64_t records;
  const uint8_t* ahead;  // null: nothing is fetched
  int64_t lines;         // a record
};

// sums (rows, 16) over a block for `rows` rows of x.
template <int bits, int rows>
void block_sums(const Pass& pass, const QuantizedInput* x, int64_t x_stride, float (*sums)[B]) {
  const uint8_t* ahead = pass.ahead;
  for (int part = 0; part < parts; ++part) {
    Vec totals[rows];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      totals[r] = set1(0.0F);
    }
    const uint8_t* record = pass.block;
    for (int64_t i = 0; i < pass.records; ++i, record += record_bytes<bits>) {
      for (int64_t line = 0; ahead != nullptr && line < pass.lines; ++line) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += quantized_line;
      }
      const RecordScales of = record_scales(record, part);
#pragma GCC unroll 2
      for (int g = 0; g < 2; ++g) {
        const uint8_t* w =
            record + quantized_scale_bytes + g * group_bytes<bits> + part * lanes * 4;
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
          const QuantizedInput& group = x[r * x_stride + 2 * i + g];
          const Vec dot = to_float(group_sum<bits>(w, group));
          totals[r] = totals[r] + dot * (of.scales[g] * set1(group.scale));
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      store(sums[r] + part * lanes, totals[r]);
    }
  }
}

template <int bits>
void any_block_sums(const Pass& pass, const QuantizedInput* x, int64_t rows, float (*sums)[B]) {
  const int64_t stride = 2 * pass.records;
  switch (rows) {
    case 1:
      return block_sums<bits, 1>(pass, x, stride, sums);
    case 2:
      return block_sums<bits, 2>(pass, x, stride, sums);
    case 3:
      return block_sums<bits, 3>(pass, x, stride, sums);
    default:
      return block_sums<bits, 4>(pass, x, stride, sums);
  }
}

// Columns [begin, end) of a row of c from the sums of their block, which begin with `sums`.
void put(const QuantizedFewRows& p, int64_t row, int64_t begin, int64_t end, const float* sums) {
  for_lanes(end - begin, [&](int64_t i, auto part) {
    Vec value = load(sums + i, part);
    if (p.bias != nullptr) {
      value = value + load(p.bias + begin + i, part);
    }
    const int64_t at = row * p.c_stride + begin + i;
    if (p.c_is_bf16) {
      store(static_cast<Bf16*>(p.c) + at, value, part);
    } else {
      store(static_cast<float*>(p.c) + at, value, part);
    }
  });
}

template <int bits>
void few_rows_of(const QuantizedFewRows& p) {
  const int64_t records = (p.w.columns + C - 1) / C;
  const int64_t block_bytes = records * record_bytes<bits>;
  const int64_t turns = (p.rows + rows_at_once - 1) / rows_at_once * parts;
  const int64_t lines = (record_bytes<bits> / quantized_line + turns - 1) / turns;
  const uint8_t* block = p.w.data;
  for (int64_t first = -p.w.first; first < p.w.rows; first += B, block += block_bytes) {
    const int64_t begin = first > 0 ? first : 0;
    const int64_t end = first + B < p.w.rows ? first + B : p.w.rows;
    const bool last = first + B >= p.w.rows;
    for (int64_t row = 0; row < p.rows; row += rows_at_once) {
      const uint8_t* share =
          block + block_bytes + row / rows_at_once * parts * lines * records * quantized_line;
      const Pass pass = {block, records, last || p.rows <= 2 ? nullptr : share, lines};
      const int64_t some = p.rows - row < rows_at_once ? p.rows - row : rows_at_once;
      alignas(64) float sums[rows_at_once][B];
      any_block_sums<bits>(pass, p.x + row * 2 * records, some, sums);
      for (int64_t r = 0; r < some; ++r) {
        put(p, row + r, begin, end, sums[r] + (begin - first));
      }
    }
  }
}

void few_rows(const QuantizedFewRows& p) {
  p.w.bits == 8 ? few_rows_of<8>(p) : few_rows_of<4>(p);
}

// Four neighbours along k of one part of a block: half of a line in 4 bits.
template <int bits, int half>
SAMBAY_INLINE void weights_of(Ints line, Vec scale, Vec (&weights)[4]) {
  constexpr int32_t offset = bits == 8 ? quantized_offset8 : quantized_offset4;
  constexpr int32_t mask = bits == 8 ? 0xff : 0x0f;
  constexpr int shift = 4 * half;
  weights[0] = to_float(minus(masked(shifted<shift>(line), mask), offset)) * scale;
  weights[1] = to_float(minus(masked(shifted<shift + 8>(line), mask), offset)) * scale;
  weights[2] = to_float(minus(masked(shifted<shift + 16>(line), mask), offset)) * scale;
  weights[3] = to_float(minus(masked(shifted<shift + 24>(line), mask), offset)) * scale;
}

struct WordsF32 {
  using Word = float;
  static constexpr int k_group = 1;
  [[gnu::always_inline]] static inline void store_words(Word* to, Vec first, Vec) {
    store(to, first);
  }
};

#if defined(__AVX512BF16__)
struct WordsBf16 {
  using Word = uint32_t;
  static constexpr int k_group = 2;
  [[gnu::always_inline]] static inline void store_words(Word* to, Vec first, Vec second) {
    const __m512i low = _mm512_cvtepu16_epi32(narrowed(first.v));
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrowed(second.v)), 16);
    _mm512_storeu_si512(to, _mm512_or_si512(low, high));
  }
};
#else
struct WordsBf16 {
  using Word = float;
  static constexpr int k_group = 1;
  [[gnu::always_inline]] static inline void store_words(Word* to, Vec first, Vec) {
    Bf16 rounded[lanes];
    store(rounded, first);
    store(to, load(rounded));
  }
};
#endif

// Where a part of a block goes in a panel: the lanes that the panel has of it.
struct PanelLanes {
  int64_t lane;
  int from, until;
};

// Columns of the panel from four weights, as many of them as it has.
template <class W>
SAMBAY_INLINE typename W::Word* store_four(const Vec (&weights)[4], int64_t count, int64_t width,
                                           PanelLanes at, typename W::Word* out) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; i += W::k_group) {
    if (i < count) {
      const Vec second = weights[i + W::k_group - 1];
      if (at.until - at.from == lanes) {
        W::store_words(out + at.lane, weights[i], second);
      } else {
        alignas(64) typename W::Word some[lanes];
        W::store_words(some, weights[i], second);
        for (int j = at.from; j < at.until; ++j) {
          out[at.lane + j] = some[j];
        }
      }
      out += width;
    }
  }
  return out;
}

template <int bits, class W>
void pack_part(const QuantizedPanel& p, const uint8_t* block, int part, int64_t lane) {
  const int64_t rest = p.lanes - lane;
  const PanelLanes at = {lane, static_cast<int>(lane < 0 ? -lane : 0),
                         static_cast<int>(rest < lanes ? rest : lanes)};
  auto* out = static_cast<typename W::Word*>(p.packed);
  const uint8_t* record = block + p.k_begin / C * record_bytes<bits>;
  for (int64_t k = 0; k < p.k; record += record_bytes<bits>) {
    const RecordScales of = record_scales(record, part);
    const uint8_t* line = record + quantized_scale_bytes + part * lanes * 4;
    for (int group = 0; group < 2; ++group) {
      for (int64_t i = 0; i < group_bytes<bits> && k < p.k; i += quantized_line, k += 4) {
        Vec weights[4];
        const Ints both = load_ints(line + i);
        weights_of<bits, 0>(both, of.scales[group], weights);
        out = store_four<W>(weights, p.k - k, p.width, at, out);
        if constexpr (bits == 4) {
          k += 4;
          weights_of<bits, 1>(both, of.scales[group], weights);
          out = store_four<W>(weights, p.k - k, p.width, at, out);
        }
      }
      line += group_bytes<bits>;
    }
  }
}

template <class W>
void zero_lanes(const QuantizedPanel& p) {
  auto* out = static_cast<typename W::Word*>(p.packed);
  for (int64_t k = 0; k < p.k; k += W::k_group, out += p.width) {
    for (int64_t lane = p.lanes; lane < p.width; ++lane) {
      out[lane] = {};
    }
  }
}

template <int bits, class W>
void pack_panel(const QuantizedPanel& p) {
  const int64_t records = (p.w.columns + C - 1) / C;
  // The first row of the block, seen from the panel's first lane.
  const int64_t row = p.w.first + p.lane;
  const uint8_t* block = p.w.data + row / B * records * record_bytes<bits>;
  for (int64_t lane = -(row % B); lane < p.lanes; lane += B) {
    for (int part = 0; part < parts; ++part) {
      const int64_t first = lane + part * lanes;
      if (first + lanes > 0 && first < p.lanes) {
        pack_part<bits, W>(p, block, part, first);
      }
    }
    block += records * record_bytes<bits>;
  }
  zero_lanes<W>(p);
}

template <class W>
void pack_quantized(const QuantizedPanel& p) {
  p.w.bits == 8 ? pack_panel<8, W>(p) : pack_panel<4, W>(p);
}

}  // namespace

extern const QuantizedKernels quantized_kernels;

const QuantizedKernels quantized_kernels = {quantize_input, few_rows, pack_quantized<WordsF32>,
                                            pack_quantized<WordsBf16>};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
