// Names and rows of spec section 14, as tables that both directions read.
#include <array>
#include <span>
#include <string_view>

#include "model/phi4flash.h"

namespace sambay::phi4flash {
namespace {

// Rows of a stored tensor: a parameter, or as many rows as the parameter has that nobody takes.
struct Part {
  std::string_view param;
  bool unused = false;
};

// A stored tensor and its parts from top to bottom; an empty part ends them.
struct Row {
  std::string_view stored;
  std::array<Part, 3> parts;
};

constexpr Row outside_layers[] = {
    {"model.final_layernorm.weight", {{{"transformer.ln_f.weight"}}}},
    {"model.final_layernorm.bias", {{{"transformer.ln_f.bias"}}}},
};

// Of every layer.
constexpr Row around_mixers[] = {
    {"input_layernorm.weight", {{{"norm_1.weight"}}}},
    {"input_layernorm.bias", {{{"norm_1.bias"}}}},
    {"post_attention_layernorm.weight", {{{"norm_2.weight"}}}},
    {"post_attention_layernorm.bias", {{{"norm_2.bias"}}}},
    {"mlp.fc1.weight", {{{"mlp.w1.weight"}}}},
    {"mlp.fc2.weight", {{{"mlp.w3.weight"}}}},
};

constexpr Row self_attention[] = {
    {"attn.Wqkv.weight",
     {{{"attn.q_proj.weight"}, {"attn.k_proj.weight"}, {"attn.v_proj.weight"}}}},
    {"attn.Wqkv.bias",
     {{{"attn.q_proj.bias"}, {"attn.k_proj.weight", true}, {"attn.v_proj.bias"}}}},
};

constexpr Row cross_attention[] = {
    {"attn.Wqkv.weight", {{{"attn.q_proj.weight"}}}},
    {"attn.Wqkv.bias", {{{"attn.q_proj.bias"}}}},
};

// Of self- and cross-attention.
constexpr Row any_attention[] = {
    {"attn.out_proj.weight", {{{"attn.proj.weight"}}}},
    {"attn.out_proj.bias", {{{"attn.proj.bias"}}}},
    {"attn.inner_cross_attn.lambda_q1", {{{"attn.da.lambda_q1"}}}},
    {"attn.inner_cross_attn.lambda_k1", {{{"attn.da.lambda_k1"}}}},
    {"attn.inner_cross_attn.lambda_q2", {{{"attn.da.lambda_q2"}}}},
    {"attn.inner_cross_attn.lambda_k2", {{{"attn.da.lambda_k2"}}}},
    {"attn.inner_cross_attn.subln.weight", {{{"attn.da.subln.weight"}}}},
};

constexpr Row mamba[] = {
    {"attn.in_proj.weight", {{{"attn.in_proj.weight"}}}},
    {"attn.conv1d.weight", {{{"attn.conv1d.weight"}}}},
    {"attn.conv1d.bias", {{{"attn.conv1d.bias"}}}},
    {"attn.x_proj.weight", {{{"attn.x_proj.weight"}}}},
    {"attn.dt_proj.weight", {{{"attn.dt_proj.weight"}}}},
    {"attn.dt_proj.bias", {{{"attn.dt_proj.bias"}}}},
    {"attn.A_log", {{{"attn.A_log"}}}},
    {"attn.D", {{{"attn.D"}}}},
    {"attn.out_proj.weight", {{{"attn.out_proj.weight"}}}},
};

constexpr Row gmu[] = {
    {"attn.in_proj.weight", {{{"attn.gmu.in_proj.weight"}}}},
    {"attn.out_proj.weight", {{{"attn.gmu.out_proj.weight"}}}},
};

std::vector<std::span<const Row>> tables_of(const LayerSpec& layer) {
  const auto kind = layer.mixer.at("kind").get<std::string>();
  if (kind == "mamba") {
    return {around_mixers, mamba};
  }
  if (kind == "gmu") {
    return {around_mixers, gmu};
  }
  return {around_mixers, any_attention,
          layer.reads.empty() ? std::span<const Row>(self_attention) : cross_attention};
}

struct Prefixes {
  std::string stored, param;
};

StoredTensor stored_tensor(const Row& row, const Prefixes& prefixes, const ParamStore& params) {
  StoredTensor out;
  out.name = prefixes.stored + std::string(row.stored);
  int64_t rows = 0;
  for (const auto& part : row.parts) {
    if (part.param.empty()) {
      break;
    }
    const std::string name = prefixes.param + std::string(part.param);
    const Param* param = params.find(name);
    check(param != nullptr, "the tables name parameters that phi4flash has");
    if (out.parts.empty()) {
      out.shape = param->shape;
    }
    out.parts.push_back({part.unused ? "" : name, param->shape[0]});
    rows += param->shape[0];
  }
  out.shape.set(0, rows);
  return out;
}

}  // namespace

std::vector<StoredTensor> tensors(const ModelConfig& config, const ParamStore& params) {
  const auto table = [&](const char* stored, const char* param) {
    return StoredTensor{stored, {config.vocab_size, config.width}, {{param, config.vocab_size}}};
  };
  std::vector<StoredTensor> out = {table("model.embed_tokens.weight", "transformer.wte.weight")};
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const Prefixes prefixes = {fmt::format("model.layers.{}.", i),
                               fmt::format("transformer.h.{}.", i)};
    for (const auto rows : tables_of(config.layers[i])) {
      for (const auto& row : rows) {
        out.push_back(stored_tensor(row, prefixes, params));
      }
    }
  }
  for (const auto& row : outside_layers) {
    out.push_back(stored_tensor(row, {}, params));
  }
  if (!config.tied_embeddings) {
    out.push_back(table("lm_head.weight", "lm_head.weight"));
  }
  return out;
}

}  // namespace sambay::phi4flash
