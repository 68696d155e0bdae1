#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/config.h"

namespace sambay {
namespace {

// A layer kind of spec section 3.
enum class Kind : uint8_t { recurrent, window, full, cross, gmu };
// What the gated memory units read: the port that writes it, and so which layer.
enum class GmuMemory : uint8_t { none, scan, heads, up };

// A row of the table of spec section 3.
struct Preset {
  const char* name;
  bool decoder_decoder;
  int64_t width_per_layer;
  int64_t recurrent_period;  // layer i is recurrent if i % period == 0; 0: none is
  int64_t full_period;       // decoder-only: layer i is full if i % period == period - 1; 0: none
  int64_t window;
  GmuMemory memory;
  int64_t gmu_period;
  bool rope;
  bool differential;
};

constexpr Preset presets[] = {
    {"transformer", false, 128, 0, 1, 0, GmuMemory::none, 0, true, false},
    {"transformerls", false, 128, 0, 4, 128, GmuMemory::none, 0, true, false},
    {"samba", false, 122, 2, 0, 2048, GmuMemory::none, 0, true, false},
    {"sambay", true, 124, 2, 0, 128, GmuMemory::scan, 2, false, false},
    {"sambayda", true, 124, 2, 0, 128, GmuMemory::scan, 2, false, true},
    {"sambayoco", true, 126, 2, 0, 128, GmuMemory::none, 0, false, false},
    {"swayoco", true, 130, 0, 0, 128, GmuMemory::none, 0, true, false},
    {"sambaymlp", true, 120, 2, 0, 128, GmuMemory::up, 2, false, false},
    {"sambayattn", true, 126, 2, 0, 128, GmuMemory::heads, 2, false, false},
    {"sambayattnall", true, 126, 2, 0, 128, GmuMemory::heads, 1, false, false},
    {"mambay", true, 120, 1, 0, 0, GmuMemory::scan, 2, false, false},
    {"phi4miniflash", true, 80, 2, 0, 512, GmuMemory::scan, 2, false, true},
};
constexpr const char* phi4 = "phi4miniflash";
// A config's own bounds.
constexpr int64_t max_depth = 4096, max_size = int64_t{1} << 24, max_tokens = int64_t{1} << 31;

const char* port(GmuMemory memory) {
  return memory == GmuMemory::scan ? "scan" : memory == GmuMemory::heads ? "heads" : "up";
}

const char* memory_name(GmuMemory memory) {
  return memory == GmuMemory::scan ? "ssm" : port(memory);
}

// The layout rule of spec section 3.
Kind layer_kind(const Preset& preset, int64_t i, int64_t depth) {
  const bool recurrent = preset.recurrent_period > 0 && i % preset.recurrent_period == 0;
  if (!preset.decoder_decoder) {
    const bool full = preset.full_period > 0 && i % preset.full_period == preset.full_period - 1;
    return recurrent ? Kind::recurrent : full ? Kind::full : Kind::window;
  }
  const int64_t half = depth / 2;  // even, so layer half is recurrent wherever layer 0 is
  if (i <= half) {
    return recurrent ? Kind::recurrent : Kind::window;
  }
  if (i == half + 1) {
    return Kind::full;
  }
  return preset.memory != GmuMemory::none && i % preset.gmu_period == 0 ? Kind::gmu : Kind::cross;
}

// The options with every 0 replaced by the table's value.
struct Sizes {
  int64_t depth, width, heads, kv_heads, head_dim, mlp_width, vocab_size, window, training_length;
};

int64_t pick(int64_t given, int64_t otherwise, const char* option, int64_t most = max_size) {
  if (given < 0) {
    fail("preset", "{}: {} is negative", option, given);
  }
  const int64_t value = given > 0 ? given : otherwise;
  if (value <= 0) {
    fail("preset", "{}: required", option);
  }
  if (value > most) {
    fail("preset", "{}: {} is over {}", option, value, most);
  }
  return value;
}

Sizes resolve(const Preset& preset, const PresetOptions& o) {
  const bool is_phi4 = preset.name == std::string_view(phi4);
  Sizes s{};
  s.depth = pick(o.depth, is_phi4 ? 32 : 0, "depth", max_depth);
  if (preset.decoder_decoder && s.depth % 4 != 0) {
    fail("preset", "depth: {} is not a multiple of 4, as {} needs", s.depth, preset.name);
  }
  if (o.heads == 0 && o.kv_heads == 0 && s.depth % 4 != 0) {
    fail("preset", "depth: {} is not a multiple of 4; name heads and kv_heads", s.depth);
  }
  s.width = pick(o.width, preset.width_per_layer * s.depth, "width");
  s.heads = pick(o.heads, is_phi4 ? 40 : s.depth, "heads");
  s.kv_heads = pick(o.kv_heads, is_phi4 ? 20 : s.depth / 4, "kv_heads");
  if (s.heads % s.kv_heads != 0) {
    fail("preset", "kv_heads: {} does not divide {} heads", s.kv_heads, s.heads);
  }
  if (preset.differential && (s.heads % 2 != 0 || s.kv_heads % 2 != 0)) {
    fail("preset", "heads, kv_heads: {} and {} are not both even, as {} needs", s.heads, s.kv_heads,
         preset.name);
  }
  s.head_dim = pick(o.head_dim, is_phi4 ? 64 : 128, "head_dim");
  if (preset.rope && s.head_dim % 2 != 0) {
    fail("preset", "head_dim: {} is odd, and {} turns pairs", s.head_dim, preset.name);
  }
  s.mlp_width = pick(o.mlp_width, 4 * s.width, "mlp_width");
  s.vocab_size = pick(o.vocab_size, is_phi4 ? 200064 : 32000, "vocab_size");
  // A preset without windowed layers has no use for it, but 0 would mean full attention.
  s.window = pick(o.window, std::max<int64_t>(preset.window, 1), "window", max_tokens);
  s.training_length = pick(o.training_length, is_phi4 ? 8192 : 4096, "training_length", max_tokens);
  return s;
}

struct LayerMaker {
  const Preset& preset;
  const Sizes& sizes;
  double score_scale;
  bool biases;

  nlohmann::json attention(int64_t i, Kind kind) const {
    nlohmann::json mixer = {{"kind", preset.differential ? "diff_attention" : "attention"},
                            {"heads", sizes.heads},
                            {"kv_heads", sizes.kv_heads},
                            {"head_dim", sizes.head_dim},
                            {"window", kind == Kind::window ? sizes.window : 0},
                            {"rope_base", preset.rope ? 10000 : 0},
                            {"score_scale", score_scale},
                            {"qkv_bias", biases},
                            {"out_bias", biases}};
    if (preset.differential) {
      mixer["lambda_init"] = 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(i));
      mixer["norm_eps"] = 1e-5;
    }
    return mixer;
  }

  nlohmann::json mamba() const {
    return {{"kind", "mamba"},
            {"inner", 2 * sizes.width},
            {"state", 16},
            {"conv", 4},
            {"dt_rank", (sizes.width + 15) / 16}};
  }

  int64_t memory_width() const {
    return preset.memory == GmuMemory::scan    ? 2 * sizes.width
           : preset.memory == GmuMemory::heads ? sizes.heads * sizes.head_dim
                                               : sizes.mlp_width;
  }

  LayerSpec layer(int64_t i) const {
    LayerSpec out;
    out.mlp_width = sizes.mlp_width;
    const Kind kind = layer_kind(preset, i, sizes.depth);
    switch (kind) {
      case Kind::recurrent:
        out.mixer = mamba();
        break;
      case Kind::window:
      case Kind::full:
        out.mixer = attention(i, kind);
        break;
      case Kind::cross:
        out.mixer = attention(i, kind);
        out.reads = {{"kv", "kv"}};
        break;
      case Kind::gmu:
        out.mixer = {{"kind", "gmu"}, {"memory", memory_width()}};
        out.reads = {{"memory", memory_name(preset.memory)}};
        break;
    }
    return out;
  }
};

// Layers half and half + 1 write what later layers read.
void wire(const Preset& preset, std::vector<LayerSpec>& layers) {
  const auto is_read = [&](const std::string& memory) {
    return std::ranges::any_of(layers, [&](const LayerSpec& layer) {
      return std::ranges::any_of(layer.reads,
                                 [&](const auto& wire) { return wire.second == memory; });
    });
  };
  const size_t half = layers.size() / 2;
  if (is_read("kv")) {
    layers[half + 1].writes["kv"] = "kv";
  }
  const char* memory = memory_name(preset.memory);
  if (is_read(memory)) {
    layers[preset.memory == GmuMemory::scan ? half : half + 1].writes[port(preset.memory)] = memory;
  }
}

}  // namespace

ModelConfig make_preset(const PresetOptions& options) {
  const auto* preset = std::ranges::find(presets, options.name, &Preset::name);
  if (preset == std::end(presets)) {
    fail("preset", "name: {} is unknown; known are {}", options.name,
         fmt::join(preset_names(), ", "));
  }
  const Sizes sizes = resolve(*preset, options);
  const bool is_phi4 = options.name == phi4;
  const auto depth = static_cast<double>(sizes.depth);

  ModelConfig c;
  c.name = fmt::format("{}-d{}", options.name, sizes.depth);
  c.vocab_size = sizes.vocab_size;
  c.padded_vocab_size = (sizes.vocab_size + 63) / 64 * 64;
  c.width = sizes.width;
  c.norm = is_phi4 ? NormKind::layer : NormKind::rms;
  c.tied_embeddings = is_phi4;
  c.parametrization = is_phi4 ? Parametrization::sp : options.parametrization;
  c.training_length = sizes.training_length;
  // Spec section 11.
  double score_scale = 1.0 / std::sqrt(static_cast<double>(sizes.head_dim));
  if (c.parametrization != Parametrization::sp) {
    score_scale =
        std::sqrt(static_cast<double>(options.base_head_dim)) / static_cast<double>(sizes.head_dim);
    c.logit_multiplier = static_cast<float>(static_cast<double>(options.base_depth) / depth);
  }
  if (c.parametrization == Parametrization::mup_pp) {
    c.residual_multiplier = static_cast<float>(1.0 / std::sqrt(2.0 * depth));
  }
  const LayerMaker maker{*preset, sizes, score_scale, is_phi4};
  for (int64_t i = 0; i < sizes.depth; ++i) {
    c.layers.push_back(maker.layer(i));
  }
  wire(*preset, c.layers);
  return c;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& preset : presets) {
    names.emplace_back(preset.name);
  }
  return names;
}

}  // namespace sambay
