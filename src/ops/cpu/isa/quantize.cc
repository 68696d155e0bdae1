#include "ops/cpu/quantize_kernels.h"
#include "ops/cpu/simd/group_sum.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr int64_t B = quantized_block_rows, C = quantized_record_columns, G = quantized_group;
constexpr int parts = static_cast<int>(B) / lanes;  // vectors of a block's rows

// The search of ref/quantized_linear.cc for `lanes` rows at once: the same numbers, so no
// multiply-add that would round once where it rounds twice.
struct Fit {
  Vec scale, error;
};

SAMBAY_INLINE Vec inverse_of(Vec scale) {
  return select(less_than(abs(scale), set1(smallest_scale)), set1(0.0F), set1(1.0F) / scale);
}

SAMBAY_INLINE Vec integer(Vec weight, Vec inverse, const QuantizationLevels& levels) {
  return min(set1(levels.high), max(set1(levels.low), round(weight * inverse)));
}

SAMBAY_INLINE void consider(const float (*tile)[B], Vec exact_scale,
                            const QuantizationLevels& levels, Fit& best) {
  Bf16 rounded[lanes];
  store(rounded,
        select(less_than(abs(exact_scale), set1(smallest_scale)), set1(0.0F), exact_scale));
  const Vec scale = load(rounded), inverse = inverse_of(scale);
  Vec error = set1(0.0F);
  for (int64_t k = 0; k < G; ++k) {
    const Vec weight = load(tile[k]);
    const Vec lost = weight - integer(weight, inverse, levels) * scale;
    error = error + lost * lost;
  }
  const Mask better = less_than(error, best.error);
  best = {select(better, scale, best.scale), select(better, error, best.error)};
}

SAMBAY_INLINE Fit search(const float (*tile)[B], const QuantizationLevels& levels) {
  Fit best = {set1(0.0F), set1(__builtin_inff())};
  Vec largest = set1(0.0F);
  for (int64_t k = 0; k < G; ++k) {
    largest = max(largest, abs(load(tile[k])));
  }
  for (int i = 0; i < levels.divisors; ++i) {
    const Vec scale = largest / set1(levels.first_divisor + levels.step * static_cast<float>(i));
    consider(tile, scale, levels, best);
    if (levels.both_signs) {
      consider(tile, set1(0.0F) - scale, levels, best);
    }
  }
  for (int i = 0; i < quantization_refinements; ++i) {
    const Vec inverse = inverse_of(best.scale);
    Vec product = set1(0.0F), square = set1(0.0F);
    for (int64_t k = 0; k < G; ++k) {
      const Vec weight = load(tile[k]), q = integer(weight, inverse, levels);
      product = product + weight * q;
      square = square + q * q;
    }
    const Mask none = less_than(square, set1(0.5F));
    consider(tile, select(none, set1(0.0F), product / select(none, set1(1.0F), square)), levels,
             best);
  }
  return best;
}

// The integers, with their offset, of the rows of one part.
template <int bits>
void put_part(const float (*tile)[B], Vec scale, const QuantizationLevels& levels, int part,
              uint8_t* group) {
  constexpr int32_t offset = bits == 8 ? quantized_offset8 : quantized_offset4;
  const Vec inverse = inverse_of(scale);
  for (int k = 0; k < static_cast<int>(G); ++k) {
    float q[lanes];
    store(q, integer(load(tile[k]), inverse, levels));
    const int four = k / 4;
    uint8_t* to = group + (bits == 8 ? four : four / 2) * quantized_line + k % 4;
    for (int i = 0; i < lanes; ++i) {
      const int stored = static_cast<int>(q[i]) + offset;
      uint8_t& byte = to[(part * lanes + i) * 4];
      byte = static_cast<uint8_t>(bits == 4 && four % 2 == 1 ? byte | stored << 4 : stored);
    }
  }
}

template <int bits>
void quantize_rows(const QuantizeBlock& p) {
  constexpr QuantizationLevels levels = quantization_levels(bits);
  const int64_t groups = (p.columns + C - 1) / C * 2;
  for (int64_t g = 0; g < groups; ++g) {
    alignas(64) float tile[G][B] = {};
    for (int64_t row = 0; row < p.rows; ++row) {
      for (int64_t k = 0; k < G && g * G + k < p.columns; ++k) {
        tile[k][row] = p.weights[row * p.stride + g * G + k];
      }
    }
    uint8_t* record = p.block + g / 2 * record_bytes<bits>;
    uint8_t* group = record + quantized_scale_bytes + g % 2 * group_bytes<bits>;
    for (int part = 0; part < parts; ++part) {
      const auto* rows = reinterpret_cast<const float(*)[B]>(&tile[0][part * lanes]);
      const Fit best = search(rows, levels);
      put_part<bits>(rows, best.scale, levels, part, group);
      Vec size = set1(0.0F);
      for (int64_t k = 0; k < G; ++k) {
        const Vec weight = load(rows[k]);
        size = size + weight * weight;
      }
      float errors[lanes], sizes[lanes];
      Bf16 scales[lanes];
      store(errors, best.error);
      store(sizes, size);
      store(scales, best.scale);
      for (int i = 0; i < lanes; ++i) {
        *p.difference += static_cast<double>(errors[i]);
        *p.size += static_cast<double>(sizes[i]);
        __builtin_memcpy(record + ((part * lanes + i) * 2 + g % 2) * 2, &scales[i], 2);
      }
    }
  }
}

void quantize_block(const QuantizeBlock& p) {
  p.bits == 8 ? quantize_rows<8>(p) : quantize_rows<4>(p);
}

}  // namespace

extern const QuantizeKernels quantize_kernels;

const QuantizeKernels quantize_kernels = {quantize_block};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
