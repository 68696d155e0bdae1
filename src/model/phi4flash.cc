#include "model/phi4flash.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "base/json_fields.h"

namespace sambay::phi4flash {
namespace {

constexpr int64_t max_size = int64_t{1} << 24;
constexpr int64_t max_tokens = int64_t{1} << 31;
constexpr int64_t max_layers = 4096;
constexpr int64_t max_heads = 4096;

// The fields that decide an architecture.
struct Architecture {
  std::string name;
  int64_t layers = 0, width = 0, mlp_width = 0, vocab_size = 0;
  int64_t heads = 0, kv_heads = 0, window = 0;
  int64_t state = 0, conv = 0, inner = 0, dt_rank = 0;
  double norm_eps = 0;
  bool tied = true;
  int64_t length = 0;

  int64_t auto_dt_rank() const { return (width + 15) / 16; }
};

// What the architecture leaves no choice about; a config may leave it out.
struct Fixed {
  const char* field;
  const char* value;  // as JSON
};
constexpr Fixed fixed_fields[] = {
    {"hidden_act", R"("silu")"},     {"mb_per_layer", "2"}, {"mamba_conv_bias", "true"},
    {"mamba_proj_bias", "false"},    {"mlp_bias", "false"}, {"lm_head_bias", "false"},
    {"quantization_config", "null"},
};

// What changes no number: training (dropout, initialisation), positions (no layer has any), the
// library's own affairs. attention_bias is not read by the published code: its biases are always
// there, and stored tensors are checked one by one.
constexpr const char* ignored_fields[] = {
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_bias",
    "attention_dropout",
    "auto_map",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "label2id",
    "model_type",
    "original_max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "partial_rotary_factor",
    "problem_type",
    "resid_pdrop",
    "return_dict",
    "rope_scaling",
    "rope_theta",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "use_cache",
};

std::string shown(const nlohmann::json& value) {
  return value.dump().substr(0, 60);
}

// Windowed layers: every second one of the lower half.
bool is_windowed(int64_t layer, int64_t layers) {
  return layer % 2 == 1 && layer < layers / 2;
}

const nlohmann::json& list_of_layers(JsonFields& fields, const char* field, int64_t layers) {
  const auto& list = fields.raw(field);
  if (!list.is_array() || list.size() != static_cast<size_t>(layers)) {
    fail(fields.where(), "{}: expected a list of {}, one a layer, got {}", field, layers,
         shown(list));
  }
  return list;
}

// One number, or a list of it and of null where no window is.
int64_t read_window(JsonFields& fields, int64_t layers) {
  constexpr const char* field = "sliding_window";
  if (!fields.has(field) || !fields.raw(field).is_array()) {
    return fields.integer(field, 1, max_tokens);
  }
  const auto& list = list_of_layers(fields, field, layers);
  const nlohmann::json window = list[1];
  for (int64_t i = 0; i < layers; ++i) {
    const auto& value = list[static_cast<size_t>(i)];
    if (value != (is_windowed(i, layers) ? window : nlohmann::json())) {
      fail(fields.where(), "{}[{}]: expected {}, got {}", field, i,
           is_windowed(i, layers) ? shown(window) : "null", shown(value));
    }
  }
  if (!window.is_number_integer() || window < 1 || window > max_tokens) {
    fail(fields.where(), "{}[1]: {} is not from 1 to {}", field, shown(window), max_tokens);
  }
  return window.get<int64_t>();
}

void check_layer_types(JsonFields& fields, int64_t layers) {
  constexpr const char* field = "layer_types";
  constexpr const char* windowed = "sliding_attention";
  if (!fields.has(field)) {
    return;
  }
  const auto& list = list_of_layers(fields, field, layers);
  for (int64_t i = 0; i < layers; ++i) {
    const auto& value = list[static_cast<size_t>(i)];
    if ((value == windowed) != is_windowed(i, layers)) {
      fail(fields.where(), "{}[{}]: expected {}{}, got {}", field, i,
           is_windowed(i, layers) ? "" : "anything but ", windowed, shown(value));
    }
  }
}

void read_attention(JsonFields& fields, Architecture& a) {
  a.heads = fields.integer("num_attention_heads", 2, max_heads);
  a.kv_heads = fields.integer("num_key_value_heads", 2, max_heads);
  if (a.width % a.heads != 0) {
    fail(fields.where(), "num_attention_heads: {} does not divide hidden_size {}", a.heads,
         a.width);
  }
  if (a.heads % a.kv_heads != 0 || a.kv_heads % 2 != 0) {
    fail(fields.where(), "num_key_value_heads: {} is not an even divisor of the {} query heads",
         a.kv_heads, a.heads);
  }
  if (fields.has("head_dim") && fields.raw("head_dim") != a.width / a.heads) {
    fail(fields.where(), "head_dim: expected {}, got {}", a.width / a.heads,
         shown(fields.raw("head_dim")));
  }
  a.window = read_window(fields, a.layers);
  check_layer_types(fields, a.layers);
}

int64_t integer_or(JsonFields& fields, const char* field, int64_t high, int64_t otherwise) {
  return fields.has(field) ? fields.integer(field, 1, high) : otherwise;
}

void read_mamba(JsonFields& fields, Architecture& a) {
  a.state = integer_or(fields, "mamba_d_state", 64, 16);
  a.conv = integer_or(fields, "mamba_d_conv", 8, 4);
  if (a.conv < 2) {
    fail(fields.where(), "mamba_d_conv: 1 is not from 2 to 8");
  }
  a.inner = a.width * integer_or(fields, "mamba_expand", 16, 2);
  constexpr const char* rank = "mamba_dt_rank";
  const bool automatic = !fields.has(rank) || fields.raw(rank) == "auto";
  a.dt_rank = automatic ? a.auto_dt_rank() : fields.integer(rank, 1, max_size);
}

Architecture read_architecture(JsonFields& fields) {
  Architecture a;
  a.name = fields.optional<std::string>("_name_or_path", "");
  a.name = a.name.substr(a.name.find_last_of('/') + 1);
  a.layers = fields.integer("num_hidden_layers", 4, max_layers);
  if (a.layers % 4 != 0) {
    fail(fields.where(), "num_hidden_layers: {} is not a multiple of 4", a.layers);
  }
  a.width = fields.integer("hidden_size", 1, max_size);
  a.mlp_width = fields.integer("intermediate_size", 1, max_size);
  a.vocab_size = fields.integer("vocab_size", 1, max_size);
  read_attention(fields, a);
  read_mamba(fields, a);
  a.norm_eps = fields.optional("layer_norm_eps", 1e-5);
  if (const auto eps = static_cast<float>(a.norm_eps); !(eps > 0) || !std::isfinite(eps)) {
    fail(fields.where(), "layer_norm_eps: expected a finite positive number, got {}", a.norm_eps);
  }
  a.tied = fields.optional("tie_word_embeddings", true);
  a.length = integer_or(fields, "max_position_embeddings", max_tokens, 8192);
  return a;
}

ModelConfig config_of(const Architecture& a) {
  ModelConfig config = make_preset({.name = "phi4miniflash",
                                    .depth = a.layers,
                                    .width = a.width,
                                    .heads = a.heads,
                                    .kv_heads = a.kv_heads,
                                    .head_dim = a.width / a.heads,
                                    .mlp_width = a.mlp_width,
                                    .vocab_size = a.vocab_size,
                                    .window = a.window,
                                    .training_length = a.length});
  if (!a.name.empty()) {
    config.name = a.name;
  }
  config.norm_eps = static_cast<float>(a.norm_eps);
  config.tied_embeddings = a.tied;
  for (auto& layer : config.layers) {
    auto& mixer = layer.mixer;
    if (mixer["kind"] == "mamba") {
      mixer["inner"] = a.inner;
      mixer["state"] = a.state;
      mixer["conv"] = a.conv;
      mixer["dt_rank"] = a.dt_rank;
    } else if (mixer["kind"] == "gmu") {
      mixer["memory"] = a.inner;
    }
  }
  return config;
}

const nlohmann::json& mixer_of_kind(const ModelConfig& config, size_t layer, const char* kind) {
  const auto& mixer = config.layers[layer].mixer;
  if (mixer.at("kind") != kind) {
    fail("phi4flash", "layers[{}].mixer.kind: expected \"{}\", got {}", layer, kind,
         mixer.at("kind").dump());
  }
  return mixer;
}

// The architecture whose config is nearest to `config`.
Architecture architecture_of(const ModelConfig& config) {
  if (config.layers.size() % 4 != 0 || config.layers.empty()) {
    fail("phi4flash", "layers: expected a multiple of 4, got {}", config.layers.size());
  }
  const auto& mamba = mixer_of_kind(config, 0, "mamba");
  const auto& attention = mixer_of_kind(config, 1, "diff_attention");
  Architecture a;
  a.name = config.name;
  a.layers = static_cast<int64_t>(config.layers.size());
  a.width = config.width;
  a.mlp_width = config.layers[0].mlp_width;
  a.vocab_size = config.vocab_size;
  a.heads = attention.at("heads");
  a.kv_heads = attention.at("kv_heads");
  a.window = std::max(attention.at("window").get<int64_t>(), int64_t{1});
  a.state = mamba.at("state");
  a.conv = mamba.at("conv");
  a.inner = mamba.at("inner");
  a.dt_rank = mamba.at("dt_rank");
  a.norm_eps = std::strtod(fmt::format("{}", config.norm_eps).c_str(), nullptr);
  a.tied = config.tied_embeddings;
  a.length = config.training_length;
  if (a.width % a.heads != 0) {
    fail("phi4flash", "layers[1].mixer.heads: expected a divisor of the width {}, got {}", a.width,
         a.heads);
  }
  if (a.inner % a.width != 0 || a.inner / a.width > 16) {
    fail("phi4flash", "layers[0].mixer.inner: expected a multiple of the width {}, got {}", a.width,
         a.inner);
  }
  return a;
}

// Numbers are used as floats, so those that are the same float are the same.
bool same_number(const nlohmann::json& a, const nlohmann::json& b) {
  return a.is_number() && b.is_number() && a.get<float>() == b.get<float>();
}

// Throws Error naming the first place where `got` is not as `expected`.
void check_same(const nlohmann::json& expected, const nlohmann::json& got,
                const std::string& place) {
  if (expected.is_object() && got.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      check_same(value, got.value(key, nlohmann::json()), place.empty() ? key : place + "." + key);
    }
    for (const auto& [key, value] : got.items()) {
      if (!expected.contains(key)) {
        fail("phi4flash", "{}.{}: expected none, got {}", place, key, shown(value));
      }
    }
  } else if (expected.is_array() && got.is_array() && expected.size() == got.size()) {
    for (size_t i = 0; i < got.size(); ++i) {
      check_same(expected[i], got[i], fmt::format("{}[{}]", place, i));
    }
  } else if (expected != got && !same_number(expected, got)) {
    fail("phi4flash", "{}: expected {}, got {}", place, shown(expected), shown(got));
  }
}

const char* torch_name(DType dtype) {
  return dtype == DType::bf16  ? "bfloat16"
         : dtype == DType::f16 ? "float16"
         : dtype == DType::f64 ? "float64"
                               : "float32";
}

}  // namespace

ModelConfig read_config(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  for (const auto& [field, value] : fixed_fields) {
    const auto expected = nlohmann::json::parse(value);
    if (fields.has(field) && fields.raw(field) != expected) {
      fail(where, "{}: expected {}, got {}", field, value, shown(fields.raw(field)));
    }
  }
  const Architecture architecture = read_architecture(fields);
  for (const char* field : ignored_fields) {
    if (fields.has(field)) {
      fields.raw(field);
    }
  }
  fields.no_others();
  return config_of(architecture);
}

nlohmann::json write_config(const ModelConfig& config, const ConfigNotes& notes) {
  const Architecture a = architecture_of(config);
  ModelConfig expressed = config_of(a);
  // No forward pass depends on them.
  expressed.padded_vocab_size = config.padded_vocab_size;
  expressed.parametrization = config.parametrization;
  check_same(expressed.to_json(), config.to_json(), "");

  constexpr const char* code = "microsoft/Phi-4-mini-flash-reasoning--";
  nlohmann::json json = {
      {"model_type", "phi4flash"},
      {"architectures", nlohmann::json::array({"Phi4FlashForCausalLM"})},
      {"auto_map",
       {{"AutoConfig", std::string(code) + "configuration_phi4flash.Phi4FlashConfig"},
        {"AutoModelForCausalLM", std::string(code) + "modeling_phi4flash.Phi4FlashForCausalLM"}}},
      {"_name_or_path", a.name},
      {"num_hidden_layers", a.layers},
      {"hidden_size", a.width},
      {"intermediate_size", a.mlp_width},
      {"vocab_size", a.vocab_size},
      {"num_attention_heads", a.heads},
      {"num_key_value_heads", a.kv_heads},
      {"sliding_window", a.window},
      {"mamba_d_state", a.state},
      {"mamba_d_conv", a.conv},
      {"mamba_expand", a.inner / a.width},
      {"mamba_dt_rank", a.dt_rank},
      {"layer_norm_eps", a.norm_eps},
      {"tie_word_embeddings", a.tied},
      {"max_position_embeddings", a.length},
      {"torch_dtype", torch_name(notes.dtype)},
      {"bos_token_id", nullptr},
      {"eos_token_id", nullptr},
      {"pad_token_id", nullptr},
      {"attention_dropout", 0.0},
      {"embd_pdrop", 0.0},
      {"resid_pdrop", 0.0},
      {"initializer_range", 0.02},
      {"use_cache", true},
  };
  for (const auto& [field, value] : fixed_fields) {
    json[field] = nlohmann::json::parse(value);
  }
  json.erase("quantization_config");  // the library takes even null for a quantized model
  if (a.dt_rank == a.auto_dt_rank()) {
    json["mamba_dt_rank"] = "auto";
  }
  for (int64_t i = 0; i < a.layers; ++i) {
    json["layer_types"].push_back(is_windowed(i, a.layers) ? "sliding_attention"
                                                           : "full_attention");
  }
  if (notes.token_ids.is_object()) {
    json.update(notes.token_ids);
  }
  return json;
}

}  // namespace sambay::phi4flash
