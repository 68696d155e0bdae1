#include "cli/options.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "model/weights.h"
#include "text/utf8.h"

namespace sambay::cli {
namespace {

std::string scaled(double value, double step, std::span<const char* const> units) {
  size_t unit = 0;
  while (std::abs(value) >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const bool whole = unit == 0 && value == std::floor(value);
  return fmt::format("{:.{}f}{}{}", value, whole ? 0 : 2, units[unit][0] != '\0' ? " " : "",
                     units[unit]);
}

}  // namespace

void add_preset_options(CLI::App& command, PresetOptions& options, std::string& parametrization) {
  command.add_option("--preset", options.name, "Name of an architecture")
      ->check(CLI::IsMember(preset_names()));
  command.add_option("--depth", options.depth, "Layers");
  command.add_option("--width", options.width, "Model width; the preset's if not given");
  command.add_option("--heads", options.heads, "Query heads");
  command.add_option("--kv-heads", options.kv_heads, "Key and value heads");
  command.add_option("--head-dim", options.head_dim, "Width of a head");
  command.add_option("--mlp-width", options.mlp_width, "Width of the MLP");
  command.add_option("--vocab-size", options.vocab_size, "Tokens of the vocabulary");
  command.add_option("--window", options.window, "Keys that windowed attention sees");
  command.add_option("--training-length", options.training_length, "Tokens of a training sequence");
  command.add_option("--parametrization", parametrization, "sp, mup or mup++")
      ->capture_default_str();
  command.add_option("--base-depth", options.base_depth, "Base depth of muP++")
      ->capture_default_str();
  command.add_option("--base-head-dim", options.base_head_dim, "Base head width of muP++")
      ->capture_default_str();
}

ModelConfig make_config(PresetOptions options, const std::string& parametrization, int bits) {
  options.parametrization = parse_parametrization(parametrization, "--parametrization");
  ModelConfig config = make_preset(options);
  if (bits > 0) {
    config.quantization = quantization_of_bits(bits);
  }
  return config;
}

void add_bits_option(CLI::App& command, int& bits) {
  command.add_option("--bits", bits, "Weights of --preset quantized to so many bits")
      ->check(CLI::IsMember({4, 8}));
}

void add_dtype_option(CLI::App& command, std::string& dtype) {
  const std::string otherwise = dtype.empty() ? "; else that of the model as it is stored" : "";
  auto* option =
      command.add_option("--dtype", dtype, "Precision of matrices and activations" + otherwise)
          ->check(CLI::IsMember({"f32", "bf16"}));
  if (!dtype.empty()) {
    option->capture_default_str();
  }
}

Precision parse_precision(const std::string& dtype, int kv_bits) {
  return {dtype == "bf16" ? DType::bf16 : DType::f32, DType::f32, kv_bits};
}

void add_kv_bits_option(CLI::App& command, int& kv_bits) {
  command
      .add_option("--kv-bits", kv_bits,
                  "8: keys and values of all tokens are kept in 8 bits; else as --dtype")
      ->check(CLI::IsMember({8}));
}

Precision model_precision(const std::string& dtype, int kv_bits,
                          const std::filesystem::path& folder) {
  Precision precision = dtype.empty() ? stored_precision(folder) : parse_precision(dtype);
  precision.kv_bits = kv_bits;
  return precision;
}

std::filesystem::path model_folder(const std::string& named, const Common& common,
                                   hub::Needs needs) {
  return hub::resolve_model(named, needs, common.json);
}

void add_sampling_options(CLI::App& command, SamplingOptions& options) {
  command.add_option("--temperature", options.temperature, "0 takes the most probable token")
      ->capture_default_str();
  command.add_option("--top-k", options.top_k, "Draw from the k most probable; 0: all")
      ->capture_default_str();
  command.add_option("--top-p", options.top_p, "Draw from the fewest that together reach p")
      ->capture_default_str();
  command.add_option("--min-p", options.min_p, "Draw from those of p times the best's probability")
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", options.repetition_penalty,
                  "Divides logits of tokens that occurred; 1: none")
      ->capture_default_str();
  command.add_option("--seed", options.seed, "The same seed gives the same")->capture_default_str();
}

void set_sampling_defaults(const CLI::App& command, SamplingOptions& options,
                           const SamplingOptions& defaults) {
  const auto set = [&](const char* name, auto SamplingOptions::*field) {
    if (command.get_option(name)->count() == 0) {
      options.*field = defaults.*field;
    }
  };
  set("--temperature", &SamplingOptions::temperature);
  set("--top-k", &SamplingOptions::top_k);
  set("--top-p", &SamplingOptions::top_p);
  set("--min-p", &SamplingOptions::min_p);
  set("--repetition-penalty", &SamplingOptions::repetition_penalty);
}

void check_utf8(std::string_view text, const std::string& where) {
  const size_t valid = utf8_valid_prefix(text);
  if (valid < text.size()) {
    fail(where, "not UTF-8: byte {:#04x} at offset {}", static_cast<unsigned char>(text[valid]),
         valid);
  }
}

std::string read_stdin() {
  std::string text = read_text("/dev/stdin");
  check_utf8(text, "stdin");
  return text;
}

std::string short_number(double value) {
  constexpr std::array<const char*, 6> units = {"", "k", "M", "G", "T", "P"};
  return scaled(value, 1000, units);
}

std::string short_bytes(double value) {
  constexpr std::array<const char*, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  return scaled(value, 1024, units);
}

}  // namespace sambay::cli
