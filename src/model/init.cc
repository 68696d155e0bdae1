// Spec section 10, "paper" release. Original muP initialises as muP++.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/threads.h"
#include "model/weights.h"

namespace sambay {
namespace {

// Elements that share a stretch of the parameter's random stream: a unit of parallel work.
constexpr int64_t block_elements = 1 << 16;
constexpr int block_stream_bits = 32;

enum class Law : uint8_t { constant, normal, uniform, dt_bias, log_column };

// constant: value; normal: deviation; uniform: half width.
struct Distribution {
  Law law = Law::constant;
  double size = 0;
};

Distribution kaiming(int64_t fan_in) {
  return {Law::uniform, 1.0 / std::sqrt(static_cast<double>(fan_in))};
}

Distribution distribution(const Param& param, const ModelConfig& config) {
  constexpr int64_t filter_width = 4;
  constexpr double deviation = 0.02;
  const bool sp = config.parametrization == Parametrization::sp;
  const auto matrix = [&] {
    return sp ? Distribution{Law::normal, deviation} : kaiming(param.shape[-1]);
  };
  switch (param.init) {
    case Init::zeros:
      return {Law::constant, 0};
    case Init::ones:
      return {Law::constant, 1};
    case Init::embedding:
      return {Law::normal, config.tied_embeddings ? deviation : 1e-4};
    case Init::readout:
      return sp ? Distribution{Law::normal, deviation} : Distribution{Law::constant, 0};
    case Init::linear:
    case Init::dt_proj:  // its fan-in is dt_rank
      return matrix();
    case Init::output_linear: {
      auto out = matrix();
      if (sp || config.tied_embeddings) {
        out.size /= std::sqrt(2.0 * static_cast<double>(config.layers.size()));
      }
      return out;
    }
    case Init::filter:
    case Init::filter_bias:
      return kaiming(filter_width);
    case Init::lambda:
      return {Law::normal, 0.1};
    case Init::a_log:
      return {Law::log_column, 0};
    case Init::dt_bias:
      return {Law::dt_bias, 0};
  }
  return {};
}

double draw(const Distribution& d, Rng& rng, int64_t column) {
  switch (d.law) {
    case Law::constant:
      return d.size;
    case Law::normal:
      return d.size * rng.normal();
    case Law::uniform:
      return d.size * (2 * rng.uniform() - 1);
    case Law::log_column:
      return std::log(static_cast<double>(column + 1));
    case Law::dt_bias: {
      const double low = std::log(1e-3), high = std::log(0.1);
      const double y = std::max(std::exp(low + (high - low) * rng.uniform()), 1e-4);
      return y + std::log(-std::expm1(-y));  // the inverse of softplus
    }
  }
  return 0;
}

void store(const Tensor& tensor, int64_t i, double value) {
  switch (tensor.dtype()) {
    case DType::f64:
      tensor.data<double>()[i] = value;
      break;
    case DType::bf16:
      tensor.data<Bf16>()[i] = to_bf16(static_cast<float>(value));
      break;
    default:
      tensor.data<float>()[i] = static_cast<float>(value);
  }
}

void fill(const Param& param, const Distribution& d, uint64_t seed) {
  const Tensor& tensor = param.weight.value;
  const int64_t elements = tensor.elements(), columns = param.shape[-1];
  const RngState stream = Rng(seed, param.name).state();
  parallel_for((elements + block_elements - 1) / block_elements, [&](int64_t block) {
    RngState at = stream;
    at.position = static_cast<uint64_t>(block) << block_stream_bits;
    Rng rng(at);
    const int64_t end = std::min(elements, (block + 1) * block_elements);
    for (int64_t i = block * block_elements; i < end; ++i) {
      store(tensor, i, draw(d, rng, i % columns));
    }
  });
}

}  // namespace

void initialize(Decoder& decoder, const Precision& precision, uint64_t seed, Arena& arena) {
  check(decoder.config().quantization == Quantization::none, "new models are not quantized");
  allocate(decoder, precision, arena);
  if (arena.device() == Device::meta) {
    return;
  }
  for (const auto& param : decoder.params().all()) {
    fill(param, distribution(param, decoder.config()), seed);
  }
}

}  // namespace sambay
