// An architecture as data: the list of layers and what the forward pass needs beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/quantization.h"

namespace sambay {

struct LayerSpec {
  nlohmann::json mixer;  // {"kind": ..., options}: the mixer's own business (nn/mixer.h)
  int64_t mlp_width = 0;
  std::map<std::string, std::string> reads;   // port -> memory name
  std::map<std::string, std::string> writes;  // port -> memory name
};

enum class NormKind : uint8_t { rms, layer };
enum class Parametrization : uint8_t { sp, mup, mup_pp };

// docs/design.md, "A model on disk".
struct ModelConfig {
  std::string name;
  int64_t vocab_size = 0;         // tokens that exist
  int64_t padded_vocab_size = 0;  // rows of the embedding, a multiple of 64
  int64_t width = 0;              // D
  NormKind norm = NormKind::rms;
  float norm_eps = 1e-5F;
  bool tied_embeddings = false;
  Parametrization parametrization = Parametrization::sp;
  float residual_multiplier = 1.0F;  // rho
  float logit_multiplier = 1.0F;     // s
  int64_t training_length = 0;
  Quantization quantization = Quantization::none;  // how the weights are stored
  std::vector<LayerSpec> layers;

  // Throw Error naming the file and the field. `load` reads published configs too, of the model
  // types in model/layouts.h.
  static ModelConfig from_json(const nlohmann::json& json, const std::string& where);
  static ModelConfig load(const std::filesystem::path& file);
  nlohmann::json to_json() const;
};

const char* name(NormKind kind);
const char* name(Parametrization parametrization);
Parametrization parse_parametrization(const std::string& text, const std::string& where);

// A preset of spec section 3 at depth L with the table's proportions; fields below replace them.
struct PresetOptions {
  std::string name;   // "sambay", "transformer", ..., "phi4miniflash"
  int64_t depth = 0;  // 0: the preset's own (32 for phi4miniflash; required otherwise)
  int64_t width = 0, heads = 0, kv_heads = 0, head_dim = 0, mlp_width = 0,
          vocab_size = 0;  // 0: the table's
  int64_t window = 0;
  int64_t training_length = 0;
  Parametrization parametrization = Parametrization::mup_pp;  // phi4miniflash: sp, always
  int64_t base_depth = 16, base_head_dim = 128;               // of muP++ (spec section 11)
};
// Throws Error naming the option that does not fit (unknown name, depth not a multiple of 4, ...).
ModelConfig make_preset(const PresetOptions& options);
std::vector<std::string> preset_names();

}  // namespace sambay
