#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/inspect_training.h"
#include "cli/options.h"
#include "model/dry_run.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model, recipe;
  PresetOptions preset;
  std::string parametrization = "mup++", dtype;
  std::vector<int64_t> lengths = {1024, 32768};
  int64_t chunk = 512;
  int bits = 0, kv_bits = 0;
};

struct Subject {
  ModelConfig config;
  Precision precision;
};

// A model of which only config.json is here is taken to be stored in bf16, as a preset is.
Subject read_subject(const Options& options, const Common& common) {
  const Precision asked =
      parse_precision(options.dtype.empty() ? "bf16" : options.dtype, options.kv_bits);
  if (options.model.empty()) {
    return {make_config(options.preset, options.parametrization, options.bits), asked};
  }
  const auto folder = model_folder(options.model, common, hub::Needs::config);
  return {ModelConfig::load(folder / "config.json"),
          hub::holds_model(folder, hub::Needs::model)
              ? model_precision(options.dtype, options.kv_bits, folder)
              : asked};
}

// Parameters by the bits that each is stored in, those of no matrix left out.
nlohmann::json bits_json(const Decoder& decoder, const Precision& precision) {
  std::map<int, int64_t> parameters;
  for (const auto& param : decoder.params().all()) {
    if (param.is_matrix()) {
      const int bits = quantized_bits(param, decoder.config().quantization);
      parameters[bits > 0 ? bits : static_cast<int>(8 * size_of(precision.compute))] +=
          param.shape.elements();
    }
  }
  auto json = nlohmann::json::array();
  for (const auto& [bits, count] : parameters) {
    json.push_back({{"bits", bits}, {"parameters", count}});
  }
  return json;
}

int64_t parameters_of(const Decoder& decoder, const std::string& prefix) {
  int64_t total = 0;
  for (const auto& param : decoder.params().all()) {
    total += param.name.starts_with(prefix) ? param.shape.elements() : 0;
  }
  return total;
}

std::string wires_text(const std::map<std::string, std::string>& wires) {
  std::vector<std::string> texts;
  for (const auto& [port, memory] : wires) {
    texts.push_back(port == memory ? port : port + "=" + memory);
  }
  return fmt::format("{}", fmt::join(texts, ","));
}

nlohmann::json layers_json(const Decoder& decoder, const ModelStateSpec& states, int64_t length) {
  auto layers = nlohmann::json::array();
  for (size_t i = 0; i < decoder.config().layers.size(); ++i) {
    const LayerSpec& layer = decoder.config().layers[i];
    layers.push_back({{"mixer", layer.mixer},
                      {"mlp_width", layer.mlp_width},
                      {"reads", layer.reads},
                      {"writes", layer.writes},
                      {"parameters", parameters_of(decoder, fmt::format("transformer.h.{}.", i))},
                      {"state_bytes", state_bytes({states[i]}, length)}});
  }
  return layers;
}

nlohmann::json cost_json(const Cost& cost, double tokens) {
  return {{"flops_per_token", cost.flops() / tokens},
          {"matrix_flops_per_token", cost.matrix_flops / tokens},
          {"bytes_per_token", cost.bytes() / tokens},
          {"weight_bytes_per_token", cost.weight_bytes / tokens},
          {"state_bytes_per_token", cost.state_bytes / tokens}};
}

nlohmann::json inspect(const Decoder& decoder, const Precision& precision, const Options& options) {
  const auto states = decoder.state_spec(precision);
  auto lengths = nlohmann::json::array();
  for (const int64_t length : options.lengths) {
    const auto cost = dry_generation(decoder.config(), precision, length, options.chunk);
    lengths.push_back({{"tokens", length},
                       {"state_bytes", cost.state_bytes},
                       {"weight_bytes", cost.weight_bytes},
                       {"peak_bytes", cost.peak_bytes},
                       {"process_bytes", cost.peak_bytes + program_bytes},
                       {"prefill", cost_json(cost.prefill, static_cast<double>(length))},
                       {"decode", cost_json(cost.decode, 1)}});
  }
  return {{"name", decoder.config().name},
          {"width", decoder.config().width},
          {"vocab_size", decoder.config().vocab_size},
          {"parametrization", name(decoder.config().parametrization)},
          {"dtype", name(precision.compute)},
          {"quantization", name(decoder.config().quantization)},
          {"matrices", bits_json(decoder, precision)},
          {"parameters", decoder.params().elements()},
          {"layers", layers_json(decoder, states, options.lengths.back())},
          {"generation", lengths}};
}

void print_layers(const Decoder& decoder, const nlohmann::json& layers, int64_t length) {
  fmt::print("{:>5}  {:14} {:>7} {:>10} {:>14}  {}\n", "layer", "mixer", "window", "parameters",
             fmt::format("state at {}", length), "memories");
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerSpec& spec = decoder.config().layers[i];
    const auto& mixer = spec.mixer;
    std::string memories;
    if (!spec.reads.empty()) {
      memories += "reads " + wires_text(spec.reads) + " ";
    }
    if (!spec.writes.empty()) {
      memories += "writes " + wires_text(spec.writes);
    }
    const int64_t window = mixer.value("window", int64_t{0});
    fmt::print("{:>5}  {:14} {:>7} {:>10} {:>14}  {}\n", i, mixer["kind"].get<std::string>(),
               window > 0 ? std::to_string(window) : "",
               short_number(layers[i]["parameters"].get<double>()),
               short_bytes(layers[i]["state_bytes"].get<double>()), memories);
  }
}

void print_generation(const nlohmann::json& row) {
  const auto number = [](const nlohmann::json& part, const char* field) {
    return part[field].get<double>();
  };
  fmt::print("\nat {} tokens: state {}, peak memory of generation {}, of the process {}\n",
             row["tokens"].get<int64_t>(), short_bytes(number(row, "state_bytes")),
             short_bytes(number(row, "peak_bytes")), short_bytes(number(row, "process_bytes")));
  for (const char* phase : {"prefill", "decode"}) {
    const auto& part = row[phase];
    fmt::print("  {:8} {:>9}FLOP and {:>10} a token ({} of weights, {} of state)\n", phase,
               short_number(number(part, "flops_per_token")),
               short_bytes(number(part, "bytes_per_token")),
               short_bytes(number(part, "weight_bytes_per_token")),
               short_bytes(number(part, "state_bytes_per_token")));
  }
}

void run(const Options& options, const Common& common) {
  if (options.model.empty() + options.preset.name.empty() + options.recipe.empty() != 2) {
    throw CLI::ValidationError("one of --model, --preset and --train is needed");
  }
  if (!options.recipe.empty()) {
    inspect_training(options.recipe, common);
    return;
  }
  Subject subject = read_subject(options, common);
  const Decoder decoder(std::move(subject.config));
  const auto report = inspect(decoder, subject.precision, options);
  if (common.json) {
    fmt::print("{}\n", report.dump(2));
    return;
  }
  fmt::print("{}: {} parameters ({}), width {}, vocabulary {}, {}, {}\n\n", decoder.config().name,
             decoder.params().elements(),
             short_number(static_cast<double>(decoder.params().elements())), decoder.config().width,
             decoder.config().vocab_size, name(decoder.config().parametrization),
             name(subject.precision.compute));
  if (decoder.config().quantization != Quantization::none) {
    for (const auto& matrices : report["matrices"]) {
      fmt::print("{:>2} bits: {} parameters of matrices\n", matrices["bits"].get<int>(),
                 short_number(matrices["parameters"].get<double>()));
    }
    fmt::print("weights: {}\n\n",
               short_bytes(report["generation"][0]["weight_bytes"].get<double>()));
  }
  print_layers(decoder, report["layers"], options.lengths.back());
  for (const auto& row : report["generation"]) {
    print_generation(row);
  }
}

}  // namespace

void add_inspect(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("--model", options->model, "Model folder, or a name on the Hub");
  add_preset_options(command, options->preset, options->parametrization);
  command.add_option("--train", options->recipe, "Recipe whose training is forecast");
  command.add_option("--lengths", options->lengths, "Prompt lengths to report")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--chunk", options->chunk, "Tokens of a prompt that are fed at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_dtype_option(command, options->dtype);
  add_kv_bits_option(command, options->kv_bits);
  add_bits_option(command, options->bits);
  command.footer("Example: sambay inspect --preset phi4miniflash");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
