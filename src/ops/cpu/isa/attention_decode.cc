// Attention of a few rows, bound by reading keys and values: scores are dot products along the head
// in tiles of rows by keys, outputs sums over keys with the head's elements in the lanes.
#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/simd/attention_blocks.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr float infinity = __builtin_inff();

// Sums in registers: rows by keys of scores, rows by vectors of outputs. A single row costs what a
// full tile does, and memory is slower still.
constexpr int tile_height = lanes == 16 ? 4 : 2;
constexpr int score_keys = 4, output_vectors = 4;

// The rows of one head lie apart, which the hardware's prefetcher follows badly. Running past the
// end does no harm.
constexpr int64_t prefetch_keys = 24;

struct Scratch {
  float* q;       // (rows, q_stride): as the dot products take it, zeros behind head_dim
  float* scores;  // (rows, decode_keys), then probabilities of f32
  float* p;       // (rows, decode_keys) bf16
  float* acc;     // (rows, v_dim)
  float* max;
  float* sum;
  int64_t q_stride;

  Scratch(const QueryBlock& block, float* at) : q(at), q_stride(padded16(block.head_dim) + 16) {
    scores = q + decode_rows * q_stride;
    p = scores + decode_rows * decode_keys;
    max = p + decode_rows * decode_keys;
    sum = max + decode_rows;
    acc = sum + decode_rows;
  }
};

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

// Line after line, so that the hardware's prefetcher sees a stream and runs ahead.
template <class Element>
SAMBAY_INLINE void prefetch(const Element* row, int64_t count) {
  for (int64_t x = 0; x < count; x += 64 / static_cast<int64_t>(sizeof(Element))) {
    __builtin_prefetch(row + x);
  }
}

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

// Scores of `rows` <= tile_height rows against `count` <= decode_keys keys; writes whole groups of
// score_keys.
template <class Element>
void score_rows(const float* q, int64_t q_stride, int rows, const Element* k, int64_t k_stride,
                int count, int64_t dim, float* scores) {
  for (int j = 0; j < count; j += score_keys) {
    // Past the end the last key stands in: its score is not looked at.
    const Element* key[score_keys];
    for (int i = 0; i < score_keys; ++i) {
      key[i] = k + (j + i < count ? j + i : count - 1) * k_stride;
    }
    for (int i = 0; i < score_keys; ++i) {
      prefetch(k + (j + prefetch_keys + i) * k_stride, dim);
    }
    Vec sums[tile_height][score_keys];
    for (auto& row : sums) {
      for (Vec& sum : row) {
        sum = set1(0.0F);
      }
    }
    const float* q_step = q;
    for (int64_t x = 0; x < dim; x += step_elements<Element>, q_step += lanes) {
      Vec keys[score_keys];
      for (int i = 0; i < score_keys; ++i) {
        keys[i] = load_step(key[i] + x, dim - x);
      }
      for (int r = 0; r < tile_height; ++r) {
        const Vec row = load(q_step + (r < rows ? r : 0) * q_stride);
        for (int i = 0; i < score_keys; ++i) {
          sums[r][i] = dot_step<in_pairs<Element>>(row, keys[i], sums[r][i]);
        }
      }
    }
    store_sums(sums, rows, scores + j, decode_keys);
  }
}

// Scores of one row to probabilities; acc, max and sum follow.
template <class Element>
void soften_row(const QueryBlock& block, int lane, const KeyRun& run, int64_t done, int count,
                const Scratch& scratch, int row) {
  float* scores = scratch.scores + row * decode_keys;
  const int64_t here = block.first + lane / block.heads - run.first - done;
  const int64_t begin = here - block.window + 1, end = here + 1;
  const int padded = static_cast<int>(padded16(count));
  for (int j = 0; j < begin && j < count; ++j) {
    scores[j] = -infinity;
  }
  for (int64_t j = end < 0 ? 0 : end < count ? end : count; j < padded; ++j) {
    scores[j] = -infinity;
  }
  Vec top = load(scores);
  for (int j = lanes; j < padded; j += lanes) {
    top = max(top, load(scores + j));
  }
  const float before = scratch.max[row], here_max = max_lane(top) * block.scale;
  const float now = before > here_max ? before : here_max;
  const float shift = now > -infinity ? now : 0.0F;
  const Vec minus_shift = set1(-shift), scale = set1(block.scale);
  Vec total = set1(0.0F);
  for (int j = 0; j < padded; j += lanes) {
    const Vec p = exp(fma(load(scores + j), scale, minus_shift));
    total = total + p;
    if constexpr (in_pairs<Element>) {
      store(reinterpret_cast<Bf16*>(scratch.p) + row * 2 * decode_keys + j, p);
    } else {
      store(scores + j, p);
    }
  }
  float shrink = 1.0F;
  if (now > before) {
    const Vec factor = exp(set1(before - shift));
    shrink = first_lane(factor);
    float* acc = scratch.acc + row * block.v_dim;
    for_lanes(block.v_dim,
              [&](int64_t x, auto n) { store(acc + x, load(acc + x, n) * factor, n); });
  }
  scratch.max[row] = now;
  scratch.sum[row] = scratch.sum[row] * shrink + sum(total);
}

// Values of one key, or pairs of two keys, `output_vectors` vectors from element x on.
template <class Element>
SAMBAY_INLINE void load_values(const Element* v, const Element* next, int64_t left,
                               Vec (&to)[output_vectors]) {
#if defined(__AVX512BF16__)
  if constexpr (in_pairs<Element>) {
    const __m512i low_order =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high_order = _mm512_add_epi16(low_order, _mm512_set1_epi16(16));
    for (int n = 0; n < output_vectors; n += 2) {
      const int64_t rest = left - n * 16;
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
  for (int n = 0; n < output_vectors; ++n) {
    const int64_t rest = left - n * lanes;
    to[n] = rest >= lanes ? load(v + n * lanes)
            : rest > 0    ? load(v + n * lanes, First{static_cast<int>(rest)})
                          : set1(0.0F);
  }
}

// acc (rows, left) += p (rows, count) v (count, left), for at most a tile.
template <class Element>
void add_values(const char* p, int rows, const Element* v, int64_t v_stride, int count,
                int64_t left, float* acc, int64_t acc_stride) {
  constexpr bool pairs = in_pairs<Element>;
  constexpr int step = pairs ? 2 : 1;
  constexpr int64_t p_stride = decode_keys * 4;
  Vec sums[tile_height][output_vectors];
  for (auto& row : sums) {
    for (Vec& sum : row) {
      sum = set1(0.0F);
    }
  }
  for (int j = 0; j < count; j += step) {
    const Element* row = v + j * v_stride;
    for (int i = 0; i < step; ++i) {
      prefetch(row + (prefetch_keys + i) * v_stride, left);
    }
    Vec values[output_vectors];
    load_values(row, j + 1 < count ? row + v_stride : row, left, values);
    for (int r = 0; r < tile_height; ++r) {
      const char* unit = p + (r < rows ? r : 0) * p_stride + j / step * 4;
      for (int n = 0; n < output_vectors; ++n) {
        sums[r][n] = multiply_add<pairs>(unit, values[n], sums[r][n]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int n = 0; n < output_vectors && n * lanes < left; ++n) {
      float* at = acc + r * acc_stride + n * lanes;
      const int64_t rest = left - n * lanes;
      if (rest >= lanes) {
        store(at, load(at) + sums[r][n]);
      } else {
        const First part{static_cast<int>(rest)};
        store(at, load(at, part) + sums[r][n], part);
      }
    }
  }
}

template <class Element>
void begin_with(const QueryBlock* blocks, int count, float* memory) {
  const Scratch scratch(blocks[0], memory);
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
      scratch.sum[row] = 0.0F;
    }
  }
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
void visit_with(const QueryBlock* blocks, int block_count, const KeyRun* runs, float* memory) {
  const Scratch scratch(blocks[0], memory);
  const int64_t d = blocks[0].head_dim, v_dim = blocks[0].v_dim;
  for (int64_t done = 0; done < runs[0].count; done += decode_keys) {
    const int64_t left = runs[0].count - done;
    const int count = static_cast<int>(left < decode_keys ? left : decode_keys);
    int row = 0;
    for (int b = 0; b < block_count; ++b) {
      const int rows = blocks[b].rows();
      const auto* k = static_cast<const Element*>(runs[b].k) + done * runs[b].k_stride;
      for (int r = 0; r < rows; r += tile_height) {
        score_rows(scratch.q + (row + r) * scratch.q_stride, scratch.q_stride,
                   rows - r < tile_height ? rows - r : tile_height, k, runs[b].k_stride, count, d,
                   scratch.scores + (row + r) * decode_keys);
      }
      for (int lane = 0; lane < rows; ++lane, ++row) {
        soften_row<Element>(blocks[b], lane, runs[b], done, count, scratch, row);
      }
    }
    const auto* v = static_cast<const Element*>(runs[0].v) + done * runs[0].v_stride;
    const auto* p = reinterpret_cast<const char*>(in_pairs<Element> ? scratch.p : scratch.scores);
    constexpr int64_t columns = output_vectors * lanes;
    for (int64_t x = 0; x < v_dim;) {
      const int64_t half = x / d, in_half = x - half * d;
      const int64_t width = d - in_half < columns ? d - in_half : columns;
      for (int r = 0; r < row; r += tile_height) {
        add_values(p + r * decode_keys * 4, row - r < tile_height ? row - r : tile_height,
                   v + half * runs[0].v_half_stride + in_half, runs[0].v_stride, count, width,
                   scratch.acc + r * v_dim + x, v_dim);
      }
      x += width;
    }
  }
}

void visit(const QueryBlock* blocks, int count, const KeyRun* runs, float* memory) {
  if (blocks[0].dtype == DType::bf16) {
    visit_with<Bf16>(blocks, count, runs, memory);
  } else {
    visit_with<float>(blocks, count, runs, memory);
  }
}

void finish(const QueryBlock* blocks, int count, const float* memory,
            const AttentionPartial& partial) {
  const Scratch scratch(blocks[0], const_cast<float*>(memory));
  int64_t rows = 0;
  for (int b = 0; b < count; ++b) {
    rows += blocks[b].rows();
  }
  copy_row(scratch.max, rows, partial.max);
  copy_row(scratch.sum, rows, partial.sum);
  copy_row(scratch.acc, rows * blocks[0].v_dim, partial.acc);
}

}  // namespace

extern const AttentionDecodeKernels attention_decode_kernels;
const AttentionDecodeKernels attention_decode_kernels = {begin, visit, finish};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
