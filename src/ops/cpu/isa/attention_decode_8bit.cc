// Attention of a few rows over keys and values in 8 bits. Where integers are multiplied in fours,
// queries and probabilities become integers of 16 bits, 256 high + low: the sums over 8-bit numbers
// are exact, and no number is widened. Elsewhere a part of a tile is widened at a time.
#include "ops/cpu/simd/attention_softmax.h"
#include "ops/cpu/simd/fetch.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

const float* floats(const void* at) {
  return static_cast<const float*>(at);
}

// Keys and values of one tile, for the blocks that share it.
struct Tile {
  const uint8_t* keys[2];
  const float* key_scales[2];
  const uint8_t* values;
  const float* value_scales;
  int64_t half_stride;
  int keys_until;      // of those that some row sees
  const uint8_t* end;  // of the tile in memory

  // The tile that lies `behind` bytes behind the first of the runs.
  Tile(const KeyRun* runs, int blocks, int64_t behind, int64_t until)
      : values(static_cast<const uint8_t*>(runs[0].v) + behind),
        value_scales(floats(static_cast<const uint8_t*>(runs[0].v_scales) + behind)),
        half_stride(runs[0].v_half_stride),
        keys_until(static_cast<int>(until < tile_keys ? until : tile_keys)),
        end(static_cast<const uint8_t*>(runs[0].k_scales) + behind + runs[0].k_stride) {
    for (int b = 0; b < blocks; ++b) {
      keys[b] = static_cast<const uint8_t*>(runs[b].k) + behind;
      key_scales[b] = floats(static_cast<const uint8_t*>(runs[b].k_scales) + behind);
    }
  }
};

#if defined(__AVX512VNNI__)

// A row of numbers as integers of 16 bits times a scale; it takes the memory of at least as many
// floats and 16 more.
struct Row16 {
  int8_t* high;
  int8_t* low;
  float* scale;
  int32_t* sums;  // of high and of low, times -128: what the offset of keys adds, negated

  Row16(float* at, int64_t count)
      : high(reinterpret_cast<int8_t*>(at)),
        low(high + padded16(count)),
        scale(at + padded16(count) / 2),
        sums(reinterpret_cast<int32_t*>(scale + 1)) {}
};

// 16 whole numbers from 0 to 65535, or from -32640 to 32639, to two bytes each.
template <bool with_sign>
SAMBAY_INLINE void split(Vec whole, int8_t* high, int8_t* low, __m512i* sums) {
  const __m512i number = _mm512_cvtps_epi32(whole.v);
  const __m512i upper = with_sign
                            ? _mm512_srai_epi32(_mm512_add_epi32(number, _mm512_set1_epi32(128)), 8)
                            : _mm512_srli_epi32(number, 8);
  const __m512i lower = _mm512_sub_epi32(number, _mm512_slli_epi32(upper, 8));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(high), _mm512_cvtepi32_epi8(upper));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(low), _mm512_cvtepi32_epi8(lower));
  if constexpr (with_sign) {
    sums[0] = _mm512_add_epi32(sums[0], upper);
    sums[1] = _mm512_add_epi32(sums[1], lower);
  }
}

// What the largest size becomes.
constexpr float largest_with_sign = 32512.0F, largest_probability = 65535.0F;

// A scale of zeros is zero; of numbers that are not finite it is not a number either.
struct Scaling {
  float scale, inverse;

  Scaling(Vec largest, Vec poison, float becomes) {
    const float size = max_lane(largest), not_finite = sum(poison);
    const bool zeros = not_finite != 0 || size < 0x1p-100F;  // NaN is not 0
    inverse = zeros ? 0.0F : becomes / size;
    scale = zeros ? not_finite : size / becomes;
  }
};

template <class Element>
void begin_row(const Element* q, int64_t count, float* memory) {
  const Row16 row(memory, count);
  Vec largest = set1(0.0F), poison = set1(0.0F);
  for (int64_t x = 0; x < count; x += lanes) {
    const Vec some = load_n(q + x, static_cast<int>(count - x < lanes ? count - x : lanes));
    largest = max(largest, abs(some));
    poison = poison + some * set1(0.0F);
  }
  const Scaling scaling(largest, poison, largest_with_sign);
  __m512i sums[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (int64_t x = 0; x < count; x += lanes) {
    const Vec some = load_n(q + x, static_cast<int>(count - x < lanes ? count - x : lanes));
    const Vec whole = scaling.inverse > 0 ? some * set1(scaling.inverse) : set1(0.0F);
    split<true>(whole, row.high + x, row.low + x, sums);
  }
  *row.scale = scaling.scale;
  row.sums[0] = -KvTile::offset8 * _mm512_reduce_add_epi32(sums[0]);
  row.sums[1] = -KvTile::offset8 * _mm512_reduce_add_epi32(sums[1]);
}

// The sums over high and over low.
template <int rows, int vectors>
struct Sums16 {
  __m512i high[rows][vectors], low[rows][vectors];

  void start(int r, int32_t of_high, int32_t of_low) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      high[r][n] = _mm512_set1_epi32(of_high);
      low[r][n] = _mm512_set1_epi32(of_low);
    }
  }
  Vec value(int r, int n) const {
    return fma(to_float(Ints{high[r][n]}), set1(256.0F), to_float(Ints{low[r][n]}));
  }
};

// Written so, because GCC 12 copies and spills the sums around the intrinsic.
SAMBAY_INLINE void add_products(__m512i& sum, __m512i without_sign, __m512i with_sign) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(without_sign), "v"(with_sign));
}

// sums (rows, 16 vectors) += fours of a row times lines of fours, `stride` bytes apart. The lines
// of keys keep their offset and meet queries with a sign; those of values lose it and meet
// probabilities without.
template <bool keys, int rows, int vectors>
SAMBAY_INLINE void multiply_fours(const Row16* a, const uint8_t* line, int64_t stride,
                                  int64_t fours, Fetch& fetch, Sums16<rows, vectors>& sums) {
  for (int64_t i = 0; i < fours; ++i, line += stride) {
    fetch.lines<4>();  // as many as hold a tile that few rows visit
    __m512i numbers[vectors];
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      numbers[n] = _mm512_loadu_si512(line + n * 64);
      if constexpr (!keys) {
        numbers[n] = _mm512_xor_si512(numbers[n], _mm512_set1_epi8(-128));
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r) {
      const __m512i high = _mm512_set1_epi32(load_four(a[r].high + 4 * i));
      const __m512i low = _mm512_set1_epi32(load_four(a[r].low + 4 * i));
#pragma GCC unroll 4
      for (int n = 0; n < vectors; ++n) {
        if constexpr (keys) {
          add_products(sums.high[r][n], numbers[n], high);
          add_products(sums.low[r][n], numbers[n], low);
        } else {
          add_products(sums.high[r][n], high, numbers[n]);
          add_products(sums.low[r][n], low, numbers[n]);
        }
      }
    }
  }
}

// The scores of rows `row` on, at a tile's keys.
template <int rows>
void score_keys(const DecodeScratch& scratch, int row, int64_t d, const uint8_t* keys,
                const float* scales, Fetch& fetch) {
  constexpr int vectors = tile_keys / lanes;
  const Row16 q[2] = {{scratch.q + row * scratch.q_stride, d},
                      {scratch.q + (row + rows - 1) * scratch.q_stride, d}};
  Sums16<rows, vectors> sums;
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
    sums.start(r, q[r].sums[0], q[r].sums[1]);
  }
  multiply_fours<true, rows, vectors>(q, keys, tile_keys * 4, (d + 3) / 4, fetch, sums);
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      store(scratch.scores + (row + r) * tile_keys + n * lanes,
            sums.value(r, n) * (set1(*q[r].scale) * load(scales + n * lanes)));
    }
  }
}

void score(const DecodeScratch& scratch, int row, int rows, int64_t d, const uint8_t* keys,
           const float* scales, Fetch& fetch) {
  for (; rows >= 2; rows -= 2, row += 2) {
    score_keys<2>(scratch, row, d, keys, scales, fetch);
  }
  if (rows == 1) {
    score_keys<1>(scratch, row, d, keys, scales, fetch);
  }
}

// Probabilities of a row, times the scales of the values, to integers in the same place.
void scale_probabilities(float* p, int count, const float* scales) {
  constexpr int vectors = tile_keys / lanes;
  Vec scaled[vectors];
  Vec largest = set1(0.0F), poison = set1(0.0F);
#pragma GCC unroll 4
  for (int n = 0; n < vectors; ++n) {
    scaled[n] = n * lanes < count ? load(p + n * lanes) * load(scales + n * lanes) : set1(0.0F);
    largest = max(largest, scaled[n]);
    poison = poison + scaled[n] * set1(0.0F);
  }
  const Scaling scaling(largest, poison, largest_probability);
  const Row16 row(p, tile_keys);
#pragma GCC unroll 4
  for (int n = 0; n < vectors; ++n) {
    const Vec whole = scaling.inverse > 0 ? scaled[n] * set1(scaling.inverse) : set1(0.0F);
    split<false>(whole, row.high + n * lanes, row.low + n * lanes, nullptr);
  }
  *row.scale = scaling.scale;
}

// acc of rows `row` on, at 16 vectors of columns.
template <int rows, int vectors>
void add_columns(const DecodeScratch& scratch, int row, int64_t fours, const uint8_t* values,
                 int64_t stride, Fetch& fetch, float* acc, int64_t v_dim) {
  const Row16 p[2] = {{scratch.scores + row * tile_keys, tile_keys},
                      {scratch.scores + (row + rows - 1) * tile_keys, tile_keys}};
  Sums16<rows, vectors> sums;
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
    sums.start(r, 0, 0);
  }
  multiply_fours<false, rows, vectors>(p, values, stride, fours, fetch, sums);
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      float* at = acc + r * v_dim + n * lanes;
      store(at, fma(sums.value(r, n), set1(*p[r].scale), load(at)));
    }
  }
}

template <int vectors>
void add_columns(const DecodeScratch& scratch, int rows, int64_t fours, const uint8_t* values,
                 int64_t stride, Fetch& fetch, float* acc, int64_t v_dim) {
  int row = 0;
  for (; row + 2 <= rows; row += 2) {
    add_columns<2, vectors>(scratch, row, fours, values, stride, fetch, acc + row * v_dim, v_dim);
  }
  if (row < rows) {
    add_columns<1, vectors>(scratch, row, fours, values, stride, fetch, acc + row * v_dim, v_dim);
  }
}

// acc (rows, v_dim) += probabilities times a block of `width` columns of values.
void add_values(const DecodeScratch& scratch, int rows, int keys, const uint8_t* values,
                int64_t width, Fetch& fetch, float* acc, int64_t v_dim) {
  const int64_t fours = (keys + 3) / 4;
  if (width == KvTile::block_columns) {
    add_columns<4>(scratch, rows, fours, values, width * 4, fetch, acc, v_dim);
    return;
  }
  for (int64_t x = 0; x < width; x += lanes) {
    add_columns<1>(scratch, rows, fours, values + x * 4, width * 4, fetch, acc + x, v_dim);
  }
}

#else

template <class Element>
void begin_row(const Element* q, int64_t count, float* memory) {
  store_zeros(memory, padded16(count));
  copy_row(q, count, memory);
}

// c (rows, width) = or += a (rows, 4 fours) b, b being `fours` rows of fours.
void multiply_fours(const float* a, int64_t a_row, int64_t rows, const uint8_t* b, int64_t fours,
                    int64_t width, float* widened, float* c, int64_t c_stride, bool add) {
  constexpr int64_t fours_at_once = widened_units / 2;
  for (int64_t i = 0; i < fours; i += fours_at_once) {
    const int64_t some = fours - i < fours_at_once ? fours - i : fours_at_once;
    widen_fours<false>(b + i * 4 * width, some, width, widened);
    product<false>({reinterpret_cast<const char*>(a + 4 * i), a_row * 4, 4}, rows, widened, width,
                   4 * some, c, c_stride, width, add || i > 0);
  }
}

void score(const DecodeScratch& scratch, int row, int rows, int64_t d, const uint8_t* keys,
           const float* scales, Fetch&) {
  multiply_fours(scratch.q + row * scratch.q_stride, scratch.q_stride, rows, keys, (d + 3) / 4,
                 tile_keys, scratch.widened, scratch.scores + row * tile_keys, tile_keys, false);
  for (float* at = scratch.scores + row * tile_keys; rows > 0; --rows, at += tile_keys) {
    for (int64_t j = 0; j < tile_keys; j += lanes) {
      store(at + j, load(at + j) * load(scales + j));
    }
  }
}

void scale_probabilities(float* p, int count, const float* scales) {
  for (int64_t j = 0; j < count; j += lanes) {
    store(p + j, load(p + j) * load(scales + j));
  }
}

void add_values(const DecodeScratch& scratch, int rows, int keys, const uint8_t* values,
                int64_t width, Fetch&, float* acc, int64_t v_dim) {
  multiply_fours(scratch.scores, tile_keys, rows, values, (keys + 3) / 4, width, scratch.widened,
                 acc, v_dim, true);
}

#endif

template <class Element>
void begin_with(const QueryBlock* blocks, int count, const DecodeScratch& scratch) {
  int row = 0;
  for (int b = 0; b < count; ++b) {
    for (int lane = 0; lane < blocks[b].rows(); ++lane, ++row) {
      begin_row(lane_row(blocks[b], static_cast<const Element*>(blocks[b].q), blocks[b].q_stride,
                         blocks[b].q_head_stride, lane),
                blocks[b].head_dim, scratch.q + row * scratch.q_stride);
      scratch.max[row] = -infinity;
    }
  }
  store_zeros(scratch.sum, row * 16);
  store_zeros(scratch.acc, row * blocks[0].v_dim);
}

void begin(const QueryBlock* blocks, int count, float* memory) {
  const DecodeScratch scratch(blocks[0], memory);
  if (blocks[0].dtype == DType::bf16) {
    begin_with<Bf16>(blocks, count, scratch);
  } else {
    begin_with<float>(blocks, count, scratch);
  }
}

// Keys [begin, tile.keys_until) of the tile at position `position`.
void visit_tile(const QueryBlock* blocks, int block_count, const Tile& tile, int64_t position,
                int64_t begin, const DecodeScratch& scratch) {
  const KvTile layout(DType::u8, blocks[0].head_dim, block_count);
  const int64_t d = blocks[0].head_dim, v_dim = blocks[0].v_dim;
  const int count = tile.keys_until, padded = static_cast<int>(padded16(count));
  const auto soften = count == tile_keys ? soften_row<true, float> : soften_row<false, float>;
  // The next tile lies behind this one, or it is of another page and nothing is lost.
  Fetch next(tile.end, layout.elements(), layout.elements(), 1);
  int row = 0;
  for (int b = 0; b < block_count; ++b) {
    score(scratch, row, blocks[b].rows(), d, tile.keys[b], tile.key_scales[b], next);
    for (int lane = 0; lane < blocks[b].rows(); ++lane, ++row) {
      soften(blocks[b], Visible(blocks[b], lane, position, begin, count), count, scratch, row);
      scale_probabilities(scratch.scores + row * tile_keys, padded, tile.value_scales);
    }
  }
  const uint8_t* values = tile.values;
  for (int64_t half = 0; half * d < v_dim; ++half, values += tile.half_stride) {
    // Beyond head_dim values are zeros: what they are added to may be the next row's sums.
    for (int64_t x = 0; x < d; x += KvTile::block_columns) {
      add_values(scratch, row, count, values + x * tile_keys, layout.columns(x), next,
                 scratch.acc + half * d + x, v_dim);
    }
  }
}

void visit_tiles(const QueryBlock* blocks, int count, const KeyRun* runs, float* memory) {
  const DecodeScratch scratch(blocks[0], memory);
  const KeyRun& run = runs[0];
  const int64_t end = run.first + run.count;
  int64_t begin = run.first % tile_keys, behind = 0;
  for (int64_t position = run.first - begin; position < end; position += tile_keys) {
    visit_tile(blocks, count, Tile(runs, count, behind, end - position), position, begin, scratch);
    begin = 0;
    behind += run.k_stride;
  }
}

}  // namespace

extern const AttentionDecodeKernels attention_decode_8bit_kernels;
// Keys that are rows are never in 8 bits.
const AttentionDecodeKernels attention_decode_8bit_kernels = {begin, nullptr, visit_tiles,
                                                              finish_rows};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
