#include "model/config.h"

#include <cmath>

#include "base/json_fields.h"
#include "model/layouts.h"

namespace sambay {
namespace {

constexpr int64_t max_size = int64_t{1} << 24;
constexpr int64_t max_tokens = int64_t{1} << 31;
constexpr size_t max_layers = 4096;
constexpr int64_t vocab_multiple = 64;

// A float's shortest decimal, so that 1e-5 is written as 1e-5.
double shortest(float value) {
  return std::stod(fmt::format("{}", value));
}

float finite(JsonFields& fields, const std::string& field, bool positive) {
  const auto value = static_cast<float>(fields.required<double>(field));
  if (!std::isfinite(value) || (positive && value <= 0)) {
    fail(fields.where(), "{}: expected a finite{} number, got {}", field,
         positive ? " positive" : "", value);
  }
  return value;
}

template <class Kind>
Kind parse_name(const std::string& text, std::initializer_list<Kind> kinds,
                const std::string& where) {
  std::string known;
  for (const auto kind : kinds) {
    if (text == name(kind)) {
      return kind;
    }
    known += (known.empty() ? "" : ", ") + std::string(name(kind));
  }
  fail(where, "{} is not one of {}", text, known);
}

std::map<std::string, std::string> parse_wires(const nlohmann::json& json,
                                               const std::string& where) {
  JsonFields fields(json, where);
  std::map<std::string, std::string> wires;
  for (const auto& [port, memory] : json.items()) {
    wires.emplace(port, fields.required<std::string>(port));
  }
  return wires;
}

LayerSpec parse_layer(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  LayerSpec layer;
  layer.mixer = fields.raw("mixer");
  JsonFields mixer(layer.mixer, where + ".mixer");
  mixer.required<std::string>("kind");
  JsonFields mlp(fields.raw("mlp"), where + ".mlp");
  layer.mlp_width = mlp.integer("width", 1, max_size);
  mlp.no_others();
  layer.reads = parse_wires(fields.raw("reads"), where + ".reads");
  layer.writes = parse_wires(fields.raw("writes"), where + ".writes");
  fields.no_others();
  return layer;
}

}  // namespace

const char* name(NormKind kind) {
  return kind == NormKind::rms ? "rms" : "layer";
}

const char* name(Parametrization parametrization) {
  switch (parametrization) {
    case Parametrization::sp:
      return "sp";
    case Parametrization::mup:
      return "mup";
    case Parametrization::mup_pp:
      return "mup++";
  }
  return "?";
}

Parametrization parse_parametrization(const std::string& text, const std::string& where) {
  return parse_name(text, {Parametrization::sp, Parametrization::mup, Parametrization::mup_pp},
                    where);
}

ModelConfig ModelConfig::from_json(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  if (const auto format = fields.required<std::string>("format"); format != "sambay") {
    fail(where, "format: expected sambay, got {}", format);
  }
  fields.integer("version", 1, 1);
  ModelConfig c;
  c.name = fields.required<std::string>("name");
  c.vocab_size = fields.integer("vocab_size", 1, max_size);
  c.padded_vocab_size =
      fields.integer("padded_vocab_size", c.vocab_size, max_size + vocab_multiple);
  if (c.padded_vocab_size % vocab_multiple != 0) {
    fail(where, "padded_vocab_size: {} is not a multiple of {}", c.padded_vocab_size,
         vocab_multiple);
  }
  c.width = fields.integer("width", 1, max_size);
  c.norm = parse_name(fields.required<std::string>("norm"), {NormKind::rms, NormKind::layer},
                      where + ": norm");
  c.norm_eps = finite(fields, "norm_eps", true);
  c.tied_embeddings = fields.required<bool>("tied_embeddings");
  c.parametrization = parse_parametrization(fields.required<std::string>("parametrization"),
                                            where + ": parametrization");
  c.residual_multiplier = finite(fields, "residual_multiplier", false);
  c.logit_multiplier = finite(fields, "logit_multiplier", false);
  c.training_length = fields.integer("training_length", 1, max_tokens);
  // Folders made before there was quantization lack the key.
  c.quantization = parse_quantization(fields.optional<std::string>("quantization", "none"),
                                      where + ": quantization");
  const auto& layers = fields.raw("layers");
  if (!layers.is_array() || layers.empty() || layers.size() > max_layers) {
    fail(where, "layers: expected a list of 1 to {} layers", max_layers);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    c.layers.push_back(parse_layer(layers[i], fmt::format("{}: layers[{}]", where, i)));
  }
  fields.no_others();
  return c;
}

ModelConfig ModelConfig::load(const std::filesystem::path& file) {
  const auto json = read_json(file);
  return layout_of(json, file.string()).read_config(json, file.string());
}

nlohmann::json ModelConfig::to_json() const {
  auto list = nlohmann::json::array();
  for (const auto& layer : layers) {
    list.push_back({{"mixer", layer.mixer},
                    {"mlp", {{"width", layer.mlp_width}}},
                    {"reads", layer.reads},
                    {"writes", layer.writes}});
  }
  return {{"format", "sambay"},
          {"version", 1},
          {"name", name},
          {"vocab_size", vocab_size},
          {"padded_vocab_size", padded_vocab_size},
          {"width", width},
          {"norm", sambay::name(norm)},
          {"norm_eps", shortest(norm_eps)},
          {"tied_embeddings", tied_embeddings},
          {"parametrization", sambay::name(parametrization)},
          {"residual_multiplier", shortest(residual_multiplier)},
          {"logit_multiplier", shortest(logit_multiplier)},
          {"training_length", training_length},
          {"quantization", sambay::name(quantization)},
          {"layers", list}};
}

}  // namespace sambay
