#include "ops/ref/quantized_linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cpu/quantize_kernels.h"
#include "ops/cpu/quantized_linear_kernels.h"
#include "tensor/dtype.h"

namespace sambay::ops::ref {
namespace {

struct Place {
  int64_t record;  // first byte of the record
  int64_t scale;   // bytes from there
  int64_t weight;
  int shift;  // of the weight in its byte
};

Place place_of(const QuantizedRows& w, int64_t row, int64_t column) {
  const int64_t records = (w.columns + quantized_record_columns - 1) / quantized_record_columns;
  const int64_t block = (w.first + row) / quantized_block_rows;
  const int64_t lane = (w.first + row) % quantized_block_rows;
  const int64_t record = column / quantized_record_columns;
  const int64_t group = column % quantized_record_columns / quantized_group;
  const int64_t four = column % quantized_group / 4, byte = lane * 4 + column % 4;
  const bool wide = w.bits == 8;
  const int64_t record_bytes = wide ? quantized_record_bytes8 : quantized_record_bytes4;
  const int64_t group_bytes = wide ? quantized_group_bytes8 : quantized_group_bytes4;
  const int64_t line = wide ? four : four / 2;
  return {(block * records + record) * record_bytes, (lane * 2 + group) * 2,
          quantized_scale_bytes + group * group_bytes + line * 64 + byte,
          wide || four % 2 == 0 ? 0 : 4};
}

int32_t offset_of(const QuantizedRows& w) {
  return w.bits == 8 ? quantized_offset8 : quantized_offset4;
}

void put(const QuantizedRows& w, uint8_t* blocks, int64_t row, int64_t column, int q) {
  const Place place = place_of(w, row, column);
  uint8_t& byte = blocks[place.record + place.weight];
  const int mask = w.bits == 8 ? 0xff : 0xf;
  byte = static_cast<uint8_t>((byte & ~(mask << place.shift)) | ((q + offset_of(w)) & mask)
                                                                    << place.shift);
}

float rounded(float scale) {
  return std::abs(scale) < smallest_scale ? 0.0F : to_float(to_bf16(scale));
}

struct Fit {
  float scale = 0, error = std::numeric_limits<float>::infinity();
};

struct GroupSearch {
  std::span<const float> weights;
  QuantizationLevels levels;
  Fit best;

  float integer(float weight, float scale) const {
    const float inverse = scale == 0 ? 0.0F : 1.0F / scale;
    return std::clamp(std::nearbyint(weight * inverse), levels.low, levels.high);
  }
  void consider(float exact_scale) {
    const float scale = rounded(exact_scale);
    float error = 0;
    for (const float weight : weights) {
      const float lost = weight - integer(weight, scale) * scale;
      error += lost * lost;
    }
    if (error < best.error) {
      best = {scale, error};
    }
  }
  void refine() {
    float product = 0, square = 0;
    for (const float weight : weights) {
      const float q = integer(weight, best.scale);
      product += weight * q;
      square += q * q;
    }
    consider(square == 0 ? 0.0F : product / square);
  }
  void run() {
    float largest = 0;
    for (const float weight : weights) {
      largest = std::max(largest, std::abs(weight));
    }
    for (int i = 0; i < levels.divisors; ++i) {
      const float scale = largest / (levels.first_divisor + levels.step * static_cast<float>(i));
      consider(scale);
      if (levels.both_signs) {
        consider(-scale);
      }
    }
    for (int i = 0; i < quantization_refinements; ++i) {
      refine();
    }
  }
};

}  // namespace

int quantized_integer(const QuantizedRows& w, int64_t row, int64_t column) {
  const Place place = place_of(w, row, column);
  const int stored = w.data[place.record + place.weight] >> place.shift;
  return (w.bits == 8 ? stored : stored & 0xf) - offset_of(w);
}

float quantized_scale(const QuantizedRows& w, int64_t row, int64_t column) {
  const Place place = place_of(w, row, column);
  const uint8_t* at = w.data + place.record + place.scale;
  return to_float(Bf16{static_cast<uint16_t>(at[0] | at[1] << 8)});
}

void quantize_rows(const float* weights, int64_t stride, const QuantizedRows& w, uint8_t* blocks,
                   double& difference, double& size) {
  constexpr int64_t B = quantized_block_rows, C = quantized_record_columns;
  const int64_t rows = (w.rows + B - 1) / B * B, columns = (w.columns + C - 1) / C * C;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t begin = 0; begin < columns; begin += quantized_group) {
      float group[quantized_group] = {};
      for (int64_t i = 0; row < w.rows && i < quantized_group && begin + i < w.columns; ++i) {
        group[i] = weights[row * stride + begin + i];
      }
      GroupSearch search{group, quantization_levels(w.bits), {}};
      search.run();
      const Place place = place_of(w, row, begin);
      const uint16_t bits = to_bf16(search.best.scale).bits;
      blocks[place.record + place.scale] = static_cast<uint8_t>(bits);
      blocks[place.record + place.scale + 1] = static_cast<uint8_t>(bits >> 8);
      float norm = 0;
      for (int64_t i = 0; i < quantized_group; ++i) {
        put(w, blocks, row, begin + i,
            static_cast<int>(search.integer(group[i], search.best.scale)));
        norm += group[i] * group[i];
      }
      difference += search.best.error;
      size += norm;
    }
  }
}

InputGroup quantize_input(std::span<const float> group) {
  InputGroup out = {};
  float largest = 0, poison = 0;
  for (const float x : group) {
    largest = std::max(largest, std::abs(x));
    poison += x * 0.0F;
  }
  if (poison != 0) {  // NaN
    out.scale = poison;
    return out;
  }
  if (largest < quantized_smallest_input) {
    return out;
  }
  const float inverse = 127.0F / largest;
  out.scale = largest / 127.0F;
  for (size_t i = 0; i < group.size(); ++i) {
    out.q[i] = static_cast<int8_t>(std::nearbyint(group[i] * inverse));
  }
  return out;
}

void quantized_linear(const float* x, int64_t rows, const QuantizedRows& w, const float* bias,
                      float* out) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < w.rows; ++o) {
      float sum = 0;
      for (int64_t begin = 0; begin < w.columns; begin += quantized_group) {
        const int64_t count = std::min(quantized_group, w.columns - begin);
        const InputGroup group =
            quantize_input({x + t * w.columns + begin, static_cast<size_t>(count)});
        int32_t dot = 0;
        for (int64_t i = 0; i < count; ++i) {
          dot += group.q[i] * quantized_integer(w, o, begin + i);
        }
        sum += static_cast<float>(dot) * (quantized_scale(w, o, begin) * group.scale);
      }
      out[t * w.rows + o] = sum + (bias != nullptr ? bias[o] : 0.0F);
    }
  }
}

}  // namespace sambay::ops::ref
