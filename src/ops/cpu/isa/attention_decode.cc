// Attention of a few rows, bound by reading keys and values: scores are dot products along the head
// in tiles of rows by keys, outputs sums over keys with the head's elements in the lanes.
#include "ops/cpu/simd/attention_softmax.h"
#include "ops/cpu/simd/fetch.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Sums in registers: rows by keys of scores, rows by vectors of outputs. A single row costs what a
// full tile does, and memory is slower still.
constexpr int tile_height = lanes == 16 ? 4 : 2;
constexpr int score_keys = 4, output_vectors = 4;

// Elements that one step of a dot product takes.
template <class Element>
constexpr int step_elements = in_pairs<Element> ? 2 * lanes : lanes;

template <class Element>
SAMBAY_INLINE Vec load_step(const Element* p, int64_t left) {
#if defined(__AVX512BF16__)
  if constexpr (in_pairs<Element>) {
    if (left >= 32) {
      return {_mm512_loadu_ps(p)};
    }
    const __mmask32 mask = (__mmask32{1} << left) - 1;
    return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, p))};
  }
#endif
  return left >= lanes ? load(p) : load(p, First{static_cast<int>(left)});
}

template <bool pairs>
SAMBAY_INLINE Vec dot_step(Vec a, Vec b, Vec c) {
#if defined(__AVX512BF16__)
  if constexpr (pairs) {
    return {_mm512_dpbf16_ps(c.v, (__m512bh)_mm512_castps_si512(a.v),
                             (__m512bh)_mm512_castps_si512(b.v))};
  }
#endif
  return fma(a, b, c);
}

// Keys or values of one head.
template <class Element>
struct Rows {
  const Element* at = nullptr;
  int64_t stride = 0;
  int count = 0;
  int64_t width = 0;

  Fetch fetch() const { return {at, stride, width, count}; }
};

// to[r * stride + j] = sum over the lanes of x[r][j].
SAMBAY_INLINE void store_sums(const Vec (&x)[tile_height][score_keys], int rows, float* to,
                              int64_t stride) {
#if defined(__AVX512F__)
  __m512 half[8], quarter[4];
  for (int i = 0; i < 8; ++i) {
    const __m512 a = x[i / 4][i % 4].v, b = x[i / 4 + 2][i % 4].v;
    half[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int i = 0; i < 4; ++i) {
    quarter[i] = _mm512_add_ps(_mm512_shuffle_f32x4(half[i], half[i + 4], 0x88),
                               _mm512_shuffle_f32x4(half[i], half[i + 4], 0xdd));
  }
  // Each 128-bit lane of quarter[j] is a row: 0, 2, 1, 3.
  const __m512 u = _mm512_add_ps(_mm512_unpacklo_ps(quarter[0], quarter[1]),
                                 _mm512_unpackhi_ps(quarter[0], quarter[1]));
  const __m512 v = _mm512_add_ps(_mm512_unpacklo_ps(quarter[2], quarter[3]),
                                 _mm512_unpackhi_ps(quarter[2], quarter[3]));
  const __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(u, v, 0x44), _mm512_shuffle_ps(u, v, 0xee));
  _mm_storeu_ps(to, _mm512_castps512_ps128(sums));
  if (rows > 1) {
    _mm_storeu_ps(to + stride, _mm512_extractf32x4_ps(sums, 2));
  }
  if (rows > 2) {
    _mm_storeu_ps(to + 2 * stride, _mm512_extractf32x4_ps(sums, 1));
  }
  if (rows > 3) {
    _mm_storeu_ps(to + 3 * stride, _mm512_extractf32x4_ps(sums, 3));
  }
#else
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < score_keys; ++j) {
      to[r * stride + j] = sum(x[r][j]);
    }
  }
#endif
}

// Scores of `rows` <= tile_height rows against at most decode_keys keys; writes whole groups of
// score_keys.
template <class Element>
void score_rows(const float* q, int64_t q_stride, int rows, const Rows<Element>& keys,
                float* scores, Fetch& fetch) {
  const int count = keys.count;
  const int64_t dim = keys.width;
  for (int j = 0; j < count; j += score_keys) {
    // Past the end the last key stands in: its score is not looked at.
    const Element* key[score_keys];
    for (int i = 0; i < score_keys; ++i) {
      key[i] = keys.at + (j + i < count ? j + i : count - 1) * keys.stride;
    }
    Vec sums[tile_height][score_keys];
    for (auto& row : sums) {
      for (Vec& sum : row) {
        sum = set1(0.0F);
      }
    }
    const float* q_step = q;
    for (int64_t x = 0; x < dim; x += step_elements<Element>, q_step += lanes) {
      fetch.lines<score_keys>();  // as many as are read here
      Vec steps[score_keys];
      for (int i = 0; i < score_keys; ++i) {
        steps[i] = load_step(key[i] + x, dim - x);
      }
      for (int r = 0; r < tile_height; ++r) {
        const Vec row = load(q_step + (r < rows ? r : 0) * q_stride);
        for (int i = 0; i < score_keys; ++i) {
          sums[r][i] = dot_step<in_pairs<Element>>(row, steps[i], sums[r][i]);
        }
      }
    }
    store_sums(sums, rows, scores + j, tile_keys);
  }
}

// Elements that a pass over the values takes: `output_vectors` vectors.
constexpr int64_t output_columns = output_vectors * lanes;

// Values of one key, or pairs of two keys: of output_columns elements, or the first `left`.
template <bool whole, class Element>
SAMBAY_INLINE void load_values(const Element* v, const Element* next, int64_t left,
                               Vec (&to)[output_vectors]) {
#if defined(__AVX512BF16__)
  if constexpr (in_pairs<Element>) {
    const __m512i low_order =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high_order = _mm512_add_epi16(low_order, _mm512_set1_epi16(16));
#pragma GCC unroll 4
    for (int n = 0; n < output_vectors; n += 2) {
      const int64_t rest = whole ? 32 : left - n * 16;
      const __mmask32 mask = rest >= 32 ? ~__mmask32{0}
                             : rest > 0 ? (__mmask32{1} << rest) - 1
                                        : __mmask32{0};
      const __m512i a = _mm512_maskz_loadu_epi16(mask, v + n * 16);
      const __m512i b = _mm512_maskz_loadu_epi16(mask, next + n * 16);
      to[n].v = _mm512_castsi512_ps(_mm512_permutex2var_epi16(a, low_order, b));
      to[n + 1].v = _mm512_castsi512_ps(_mm512_permutex2var_epi16(a, high_order, b));
    }
    return;
  }
#endif
  (void)next;
#pragma GCC unroll 4
  for (int n = 0; n < output_vectors; ++n) {
    const int64_t rest = whole ? lanes : left - n * lanes;
    to[n] = rest >= lanes ? load(v + n * lanes)
            : rest > 0    ? load(v + n * lanes, First{static_cast<int>(rest)})
                          : set1(0.0F);
  }
}

// acc (rows, width) += p (rows, count) values (count, width), for at most a tile; `whole` if width
// is output_columns.
template <bool whole, class Element>
void add_values(const char* p, int rows, const Rows<Element>& values, float* acc,
                int64_t acc_stride, Fetch& fetch) {
  const int count = values.count;
  constexpr bool pairs = in_pairs<Element>;
  constexpr int step = pairs ? 2 : 1;
  constexpr int64_t p_stride = tile_keys * 4;
  // Unrolled by name wherever sums are touched: an index that is not constant would put them, and
  // each step's stores, into memory.
  Vec sums[tile_height][output_vectors];
#pragma GCC unroll 4
  for (int r = 0; r < tile_height; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < output_vectors; ++n) {
      sums[r][n] = set1(0.0F);
    }
  }
  int64_t row_at[tile_height];
#pragma GCC unroll 4
  for (int r = 0; r < tile_height; ++r) {
    row_at[r] = (r < rows ? r : 0) * p_stride;
  }
  const Element* row = values.at;
  constexpr int64_t step_bytes = step * output_columns * static_cast<int64_t>(sizeof(Element));
  for (int j = 0; j < count; j += step, row += step * values.stride, p += 4) {
    fetch.lines<step_bytes / Fetch::line>();
    Vec units[output_vectors];
    load_values<whole>(row, j + 1 < count ? row + values.stride : row, values.width, units);
#pragma GCC unroll 4
    for (int r = 0; r < tile_height; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < output_vectors; ++n) {
        sums[r][n] = multiply_add<pairs>(p + row_at[r], units[n], sums[r][n]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < tile_height; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < output_vectors; ++n) {
      float* at = acc + r * acc_stride + n * lanes;
      const int64_t rest = whole ? lanes : values.width - n * lanes;
      if (r < rows && rest >= lanes) {
        store(at, load(at) + sums[r][n]);
      } else if (r < rows && rest > 0) {
        const First part{static_cast<int>(rest)};
        store(at, load(at, part) + sums[r][n], part);
      }
    }
  }
}

template <class Element>
void begin_with(const QueryBlock* blocks, int count, float* memory) {
  const DecodeScratch scratch(blocks[0], memory);
  const int64_t d = blocks[0].head_dim;
  int row = 0;
  for (int b = 0; b < count; ++b) {
    for (int lane = 0; lane < blocks[b].rows(); ++lane, ++row) {
      const auto* from = lane_row(blocks[b], static_cast<const Element*>(blocks[b].q),
                                  blocks[b].q_stride, blocks[b].q_head_stride, lane);
      float* to = scratch.q + row * scratch.q_stride;
      store_zeros(to, scratch.q_stride);
      for (int64_t x = 0, at = 0; x < d; x += step_elements<Element>, at += lanes) {
        store(to + at, load_step(from + x, d - x));
      }
      scratch.max[row] = -infinity;
    }
  }
  store_zeros(scratch.sum, row * 16);
  store_zeros(scratch.acc, row * blocks[0].v_dim);
}

void begin(const QueryBlock* blocks, int count, float* memory) {
  if (blocks[0].dtype == DType::bf16) {
    begin_with<Bf16>(blocks, count, memory);
  } else {
    begin_with<float>(blocks, count, memory);
  }
}

template <class Element>
Rows<Element> keys_of(const QueryBlock& block, const KeyRun& run, int64_t begin) {
  const int64_t left = run.count - begin;
  return {static_cast<const Element*>(run.k) + begin * run.k_stride, run.k_stride,
          static_cast<int>(left < decode_keys ? left : decode_keys), block.head_dim};
}

// Elements [x, x + width) of half `half` of the values.
template <class Element>
Rows<Element> values_of(const KeyRun& run, int64_t begin, int count, int64_t half, int64_t x,
                        int64_t width) {
  return {static_cast<const Element*>(run.v) + begin * run.v_stride + half * run.v_half_stride + x,
          run.v_stride, count, width};
}

// While keys are multiplied their values are fetched, and then the next keys.
template <class Element>
void visit_with(const QueryBlock* blocks, int block_count, const KeyRun* runs, const KeyRun* next,
                float* memory) {
  const DecodeScratch scratch(blocks[0], memory);
  const int64_t d = blocks[0].head_dim, v_dim = blocks[0].v_dim;
  Fetch nothing;
  for (int64_t done = 0; done < runs[0].count; done += decode_keys) {
    int row = 0, count = 0;
    for (int b = 0; b < block_count; ++b) {
      const Rows<Element> keys = keys_of<Element>(blocks[b], runs[b], done);
      Fetch values = values_of<Element>(runs[0], done, keys.count, b, 0, d).fetch();
      const int rows = blocks[b].rows();
      count = keys.count;
      for (int r = 0; r < rows; r += tile_height) {
        score_rows(scratch.q + (row + r) * scratch.q_stride, scratch.q_stride,
                   rows - r < tile_height ? rows - r : tile_height, keys,
                   scratch.scores + (row + r) * tile_keys, r == 0 ? values : nothing);
      }
      for (int lane = 0; lane < rows; ++lane, ++row) {
        const Visible seen(blocks[b], lane, runs[b].first + done, 0, count);
        soften_row<false, Element>(blocks[b], seen, count, scratch, row);
      }
    }
    const bool last = done + count == runs[0].count;
    const auto* p = reinterpret_cast<const char*>(scratch.scores);
    Fetch next_keys;
    for (int64_t x = 0; x < v_dim;) {
      const int64_t half = x / d, in_half = x - half * d;
      const int64_t width = d - in_half < output_columns ? d - in_half : output_columns;
      const Rows<Element> values = values_of<Element>(runs[0], done, count, half, in_half, width);
      if (in_half == 0 && half < block_count) {
        next_keys = (last ? keys_of<Element>(blocks[half], next[half], 0)
                          : keys_of<Element>(blocks[half], runs[half], done + count))
                        .fetch();
      }
      const auto add =
          width == output_columns ? add_values<true, Element> : add_values<false, Element>;
      for (int r = 0; r < row; r += tile_height) {
        add(p + r * tile_keys * 4, row - r < tile_height ? row - r : tile_height, values,
            scratch.acc + r * v_dim + x, v_dim, r == 0 ? next_keys : nothing);
      }
      x += width;
    }
  }
}

void visit(const QueryBlock* blocks, int count, const KeyRun* runs, const KeyRun* next,
           float* memory) {
  if (blocks[0].dtype == DType::bf16) {
    visit_with<Bf16>(blocks, count, runs, next, memory);
  } else {
    visit_with<float>(blocks, count, runs, next, memory);
  }
}

// c (rows, 64) = or += a (rows, units) b (units, 64): `rows` at most tile_height.
template <bool pairs, bool add, int rows>
void multiply_wide(const char* a, int64_t a_row, const float* b, int64_t units, float* c,
                   int64_t c_stride) {
  constexpr int vectors = 4;
  for (int column = 0; column < KvTile::block_columns; column += vectors * lanes) {
    Vec sums[rows][vectors];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < vectors; ++n) {
        sums[r][n] = add ? load(c + r * c_stride + column + n * lanes) : set1(0.0F);
      }
    }
    const float* row = b + column;
    for (int64_t u = 0; u < units; ++u, row += KvTile::block_columns) {
      Vec across[vectors];
#pragma GCC unroll 4
      for (int n = 0; n < vectors; ++n) {
        across[n] = load(row + n * lanes);
      }
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int n = 0; n < vectors; ++n) {
          sums[r][n] = multiply_add<pairs>(a + r * a_row + u * 4, across[n], sums[r][n]);
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < vectors; ++n) {
        store(c + r * c_stride + column + n * lanes, sums[r][n]);
      }
    }
  }
}

template <bool pairs, bool add>
void multiply_wide(Broadcast a, int64_t rows, const float* b, int64_t units, float* c,
                   int64_t c_stride) {
  for (; rows >= tile_height; rows -= tile_height) {
    multiply_wide<pairs, add, tile_height>(a.at, a.row, b, units, c, c_stride);
    a.at += tile_height * a.row;
    c += tile_height * c_stride;
  }
  if (rows == 3) {
    multiply_wide<pairs, add, 3>(a.at, a.row, b, units, c, c_stride);
  } else if (rows == 2) {
    multiply_wide<pairs, add, 2>(a.at, a.row, b, units, c, c_stride);
  } else if (rows == 1) {
    multiply_wide<pairs, add, 1>(a.at, a.row, b, units, c, c_stride);
  }
}

// c (rows, width) = or += a b, where b is `units` rows of a tile.
template <bool add, class Element>
SAMBAY_INLINE void tile_product(Broadcast a, int64_t rows, const Element* b, int64_t units,
                                int64_t width, float* widened, float* c, int64_t c_stride) {
  constexpr bool pairs = in_pairs<Element>;
  if constexpr (pairs || sizeof(Element) == sizeof(float)) {
    const auto* from = reinterpret_cast<const float*>(b);
    if (width == KvTile::block_columns) {
      multiply_wide<pairs, add>(a, rows, from, units, c, c_stride);
    } else {
      product<pairs>(a, rows, from, width, units, c, c_stride, width, add);
    }
  } else {
    for (int64_t u = 0; u < units; u += widened_units) {
      const int64_t some = units - u < widened_units ? units - u : widened_units;
      widen_pairs(b + u * 2 * width, some, width, widened);
      product<false>({a.at + u * 2 * 4, a.row, a.step}, rows, widened, width, 2 * some, c, c_stride,
                     width, add || u > 0);
    }
  }
}

// Keys [begin, count) of a tile at position `tile`. keys[b], of block b.
template <class Element>
void visit_tile(const QueryBlock* blocks, int block_count, const Element* const* keys,
                const Element* values, int64_t half_stride, int64_t tile, int64_t begin, int count,
                const DecodeScratch& scratch) {
  const KvTile layout(blocks[0].dtype, blocks[0].head_dim, block_count);
  const int64_t d = blocks[0].head_dim, v_dim = blocks[0].v_dim;
  const auto soften = count == tile_keys ? soften_row<true, Element> : soften_row<false, Element>;
  int row = 0;
  for (int b = 0; b < block_count; ++b) {
    const int rows = blocks[b].rows();
    tile_product<false>({reinterpret_cast<const char*>(scratch.q + row * scratch.q_stride),
                         scratch.q_stride * 4, 4},
                        rows, keys[b], (d + layout.unit - 1) / layout.unit, tile_keys,
                        scratch.widened, scratch.scores + row * tile_keys, tile_keys);
    for (int lane = 0; lane < rows; ++lane, ++row) {
      soften(blocks[b], Visible(blocks[b], lane, tile, begin, count), count, scratch, row);
    }
  }
  for (int64_t half = 0; half * d < v_dim; ++half, values += half_stride) {
    // Beyond head_dim values are zeros: what they are added to may be the next row's sums.
    for (int64_t x = 0; x < d; x += KvTile::block_columns) {
      tile_product<true>({reinterpret_cast<const char*>(scratch.scores), tile_keys * 4, 4}, row,
                         values + x * tile_keys, (count + layout.unit - 1) / layout.unit,
                         layout.columns(x), scratch.widened, scratch.acc + half * d + x, v_dim);
    }
  }
}

template <class Element>
void visit_tiles_with(const QueryBlock* blocks, int block_count, const KeyRun* runs,
                      float* memory) {
  const DecodeScratch scratch(blocks[0], memory);
  const KeyRun& run = runs[0];
  const Element* keys[2];
  for (int b = 0; b < block_count; ++b) {
    keys[b] = static_cast<const Element*>(runs[b].k);
  }
  const auto* values = static_cast<const Element*>(run.v);
  const int64_t end = run.first + run.count;
  int64_t begin = run.first % tile_keys;
  for (int64_t tile = run.first - begin; tile < end; tile += tile_keys, begin = 0) {
    visit_tile(blocks, block_count, keys, values, run.v_half_stride, tile, begin,
               static_cast<int>(end - tile < tile_keys ? end - tile : tile_keys), scratch);
    for (int b = 0; b < block_count; ++b) {
      keys[b] += run.k_stride;
    }
    values += run.v_stride;
  }
}

void visit_tiles(const QueryBlock* blocks, int count, const KeyRun* runs, float* memory) {
  if (blocks[0].dtype == DType::bf16) {
    visit_tiles_with<Bf16>(blocks, count, runs, memory);
  } else {
    visit_tiles_with<float>(blocks, count, runs, memory);
  }
}

}  // namespace

extern const AttentionDecodeKernels attention_decode_kernels;
const AttentionDecodeKernels attention_decode_kernels = {begin, visit, visit_tiles, finish_rows};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
