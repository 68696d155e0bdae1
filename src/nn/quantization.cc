#include "nn/quantization.h"

#include <algorithm>

namespace sambay {

const char* name(Quantization quantization) {
  switch (quantization) {
    case Quantization::none:
      return "none";
    case Quantization::int8:
      return "int8";
    case Quantization::int4:
      return "int4";
  }
  return "?";
}

Quantization parse_quantization(const std::string& text, const std::string& where) {
  for (const auto quantization : {Quantization::none, Quantization::int8, Quantization::int4}) {
    if (text == name(quantization)) {
      return quantization;
    }
  }
  fail(where, "{} is not one of none, int8, int4", text);
}

Quantization quantization_of_bits(int bits) {
  check(bits == 8 || bits == 4, "models are quantized to 8 or 4 bits");
  return bits == 8 ? Quantization::int8 : Quantization::int4;
}

int quantized_bits(const Param& param, Quantization quantization) {
  constexpr int64_t smallest_side = 64, thinnest = 16;
  if (quantization == Quantization::none || !param.is_matrix()) {
    return 0;
  }
  if (param.role != Role::hidden) {
    return 8;
  }
  const auto [low, high] = std::minmax({param.shape[0], param.shape[1]});  // by value
  if (low < smallest_side || low * thinnest <= high) {
    return 0;
  }
  return quantization == Quantization::int8 ? 8 : 4;
}

}  // namespace sambay
