// Small models and ways to run them, for the tests of this folder.
#pragma once

#include <cmath>
#include <cstdlib>
#include <span>
#include <vector>

#include "model/weights.h"

namespace sambay::testing {

inline constexpr Precision f32{DType::f32, DType::f32};
inline constexpr Precision bf16{DType::bf16, DType::f32};
inline constexpr Precision kv_of_8_bits{DType::f32, DType::f32, 8};

inline ModelConfig small_config(const std::string& preset) {
  PresetOptions options{.name = preset, .depth = 8};
  options.width = 32;
  options.heads = 4;
  options.kv_heads = 2;
  options.head_dim = 16;
  options.mlp_width = 48;
  options.vocab_size = 61;
  options.window = 7;
  if (preset == "sambayda" || preset == "phi4miniflash") {
    options.heads = 8;
    options.kv_heads = 4;
  }
  return make_preset(options);
}

// Initialised as a standard model with tied embeddings, so that no weight is zero or tiny, as the
// embeddings and the head of muP++ are.
inline Decoder small_model(const std::string& preset, const Precision& precision, Arena& arena) {
  auto config = small_config(preset);
  config.parametrization = Parametrization::sp;
  config.tied_embeddings = true;
  Decoder decoder(std::move(config));
  initialize(decoder, precision, 7, arena);
  return decoder;
}

inline std::vector<int32_t> some_ids(int64_t count, uint32_t seed = 1) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    ids.push_back(static_cast<int32_t>(seed >> 8) % 61);
  }
  return ids;
}

inline std::vector<float> values(const Tensor& tensor) {
  const auto* data = tensor.data<float>();
  return {data, data + tensor.elements()};
}

// max |a - b| / max |b|.
inline double max_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - b[i]));
    size = std::max(size, std::abs(static_cast<double>(b[i])));
  }
  return a.size() == b.size() && std::isfinite(difference) ? difference / std::max(size, 1e-30)
                                                           : INFINITY;
}

// |a - b| / |b|.
inline double rms_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return a.size() == b.size() && std::isfinite(difference) ? std::sqrt(difference / size)
                                                           : INFINITY;
}

}  // namespace sambay::testing
