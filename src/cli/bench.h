// What the measurements of `sambay bench` share, and those that have a file of their own.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "perf/survey.h"

namespace sambay::cli {

struct BenchOptions {
  std::string model, parametrization = "mup++", dtype, out, plot;
  PresetOptions preset{.name = "sambay"};
  std::vector<int64_t> positions = {1024};
  int bits = 0, kv_bits = 0;
  int64_t batch = 1, tokens = 2048, windows = 20, chunk = 512, rows = 1, row_length = 2048;
  std::string other = "transformer";
  double memory_gib = 8;
  int64_t prompt = 2000, generated = 32000, max_batch = 0;
  std::vector<int64_t> prompts, batches;
  std::string only;
  PerfOptions perf;
};

Precision precision_of(const BenchOptions& options);
ModelConfig config_of(const BenchOptions& options);
// The model of --model, or random weights of --preset.
std::unique_ptr<Rig> make_rig(const BenchOptions& options);

nlohmann::json machine_json(const ops::Ceilings& ceilings);
nlohmann::json timing_json(const Timing& timing);
nlohmann::json model_json(const ModelConfig& config, int64_t parameters,
                          const BenchOptions& options);
nlohmann::json model_json(Rig& rig, const BenchOptions& options);
// The report goes to --out as JSON, and to the terminal as JSON or as `text` prints it.
void deliver(const nlohmann::json& report, const BenchOptions& options, const Common& common,
             const std::function<void()>& text);

void run_decode(const BenchOptions& options, const Common& common);
void run_prefill(const BenchOptions& options, const Common& common);
void run_survey(const BenchOptions& options, const Common& common);
void run_long(const BenchOptions& options, const Common& common);

}  // namespace sambay::cli
