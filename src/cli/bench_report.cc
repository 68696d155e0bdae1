#include <fmt/format.h>

#include "base/cpu.h"
#include "base/files.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "cli/options.h"

namespace sambay::cli {
namespace {

using Json = nlohmann::json;

void print_machine(const Json& machine) {
  fmt::print("machine: {} threads, {}: reads {:.1f} GB/s, f32 {:.0f} and bf16 {:.0f} GFLOP/s\n",
             machine["threads"].get<int>(), machine["instructions"].get<std::string>(),
             machine["read_bytes_per_second"].get<double>() / 1e9,
             machine["f32_flops_per_second"].get<double>() / 1e9,
             machine["bf16_flops_per_second"].get<double>() / 1e9);
}

}  // namespace

Precision precision_of(const BenchOptions& options) {
  return parse_precision(options.dtype, options.kv_bits);
}

ModelConfig config_of(const BenchOptions& options) {
  if (!options.model.empty()) {
    return ModelConfig::load(std::filesystem::path(options.model) / "config.json");
  }
  return make_config(options.preset, options.parametrization, options.bits);
}

std::unique_ptr<Rig> make_rig(const BenchOptions& options) {
  return options.model.empty()
             ? std::make_unique<Rig>(config_of(options), precision_of(options))
             : std::make_unique<Rig>(std::filesystem::path(options.model), precision_of(options));
}

Json machine_json(const ops::Ceilings& ceilings) {
  return {{"threads", num_threads()},
          {"instructions", name(isa())},
          {"read_bytes_per_second", ceilings.read_bytes_per_second},
          {"f32_flops_per_second", ceilings.f32_flops_per_second},
          {"bf16_flops_per_second", ceilings.bf16_flops_per_second}};
}

Json timing_json(const Timing& timing) {
  return {{"median_seconds", timing.median},
          {"best_seconds", timing.best},
          {"processor_seconds", timing.processor},
          {"runs", timing.runs}};
}

Json model_json(const ModelConfig& config, int64_t parameters, const BenchOptions& options) {
  return {{"name", config.name},
          {"parameters", parameters},
          {"dtype", options.dtype},
          {"quantization", name(config.quantization)},
          {"kv_bits", options.kv_bits == 0 ? nlohmann::json() : nlohmann::json(options.kv_bits)}};
}

Json model_json(Rig& rig, const BenchOptions& options) {
  return model_json(rig.decoder().config(), rig.decoder().params().elements(), options);
}

void deliver(const Json& report, const BenchOptions& options, const Common& common,
             const std::function<void()>& text) {
  if (!options.out.empty()) {
    write_atomically(options.out, report.dump(2) + "\n");
  }
  if (common.json) {
    fmt::print("{}\n", report.dump(2));
    return;
  }
  print_machine(report["machine"]);
  if (report.contains("model")) {
    const auto quantization = report["model"]["quantization"].get<std::string>();
    fmt::print("model: {}, {} parameters, {}{}{}\n", report["model"]["name"].get<std::string>(),
               report["model"]["parameters"].get<int64_t>(), options.dtype,
               quantization == "none" ? "" : ", weights " + quantization,
               options.kv_bits == 0 ? "" : ", keys and values in 8 bits");
  }
  text();
}

}  // namespace sambay::cli
