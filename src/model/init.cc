// Spec section 10, "paper" release. Original muP initialises as muP++.
#include <algorithm>
#include <cmath>

#include "formats/cast.h"
#include "model/weights.h"
#include "ops/random.h"

namespace sambay {
namespace {

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

template <class Element>
void set(const Tensor& tensor, Element element) {
  const auto numbers = Tensor::empty(tensor.shape(), DType::f64);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    numbers.data<double>()[i] = element(i);
  }
  cast(numbers, tensor);
}

void set_dt_bias(const Tensor& tensor, const Rng& stream) {
  const auto drawn = Tensor::empty(tensor.shape(), DType::f64);
  ops::fill_uniform(drawn, 1, stream);
  set(tensor, [&](int64_t i) {
    const double low = std::log(1e-3), high = std::log(0.1);
    const double uniform = (drawn.data<double>()[i] + 1) / 2;  // exact
    const double y = std::max(std::exp(low + (high - low) * uniform), 1e-4);
    return y + std::log(-std::expm1(-y));  // the inverse of softplus
  });
}

void fill(const Param& param, const Distribution& d, const Rng& stream) {
  const Tensor& tensor = param.weight.value;
  switch (d.law) {
    case Law::constant:
      return d.size == 0 ? tensor.zero() : set(tensor, [&](int64_t) { return d.size; });
    case Law::normal:
      return ops::fill_normal(tensor, d.size, stream);
    case Law::uniform:
      return ops::fill_uniform(tensor, d.size, stream);
    case Law::log_column:
      return set(tensor, [columns = param.shape[-1]](int64_t i) {
        return std::log(static_cast<double>(i % columns + 1));
      });
    case Law::dt_bias:
      return set_dt_bias(tensor, stream);
  }
}

}  // namespace

void initialize(Decoder& decoder, const Precision& precision, uint64_t seed, Arena& arena) {
  check(decoder.config().quantization == Quantization::none, "new models are not quantized");
  allocate(decoder, precision, arena);
  if (arena.device() == Device::meta) {
    return;
  }
  for (const auto& param : decoder.params().all()) {
    fill(param, distribution(param, decoder.config()), Rng(seed, param.name));
  }
}

}  // namespace sambay
