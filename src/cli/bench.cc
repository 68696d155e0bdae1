#include <fmt/format.h>

#include <algorithm>

#include "cli/bench.h"
#include "cli/options.h"
#include "model/weights.h"
#include "perf/throughput.h"
#include "perf/training.h"

namespace sambay::cli {
namespace {

using Json = nlohmann::json;

void run_ceilings(const BenchOptions& options, const Common& common) {
  CeilingWatch ceilings(options.perf.ceilings);
  for (int i = 0; i < 3; ++i) {
    ceilings.sample();
  }
  deliver({{"machine", machine_json(ceilings.best())}}, options, common, [] {});
}

void run_train(const BenchOptions& options, const Common& common) {
  const ModelConfig config = config_of(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speed = measure_training(config, precision_of(options), options.rows,
                                      options.row_length, options.perf, ceilings);
  const double share =
      speed.flops_per_second() / matrix_peak(ceilings.best(), precision_of(options));
  const double per_second = static_cast<double>(speed.tokens) / speed.step.median;
  Json step = timing_json(speed.step);
  step.update({{"tokens", speed.tokens},
               {"row_length", speed.row_length},
               {"tokens_per_second", per_second},
               {"matrix_flops", speed.cost.matrix_flops},
               {"flops_per_second", speed.flops_per_second()},
               {"share_of_matrix_peak", share},
               {"peak_bytes", speed.peak_bytes}});
  const Json report = {{"command", "train"},
                       {"machine", machine_json(ceilings.best())},
                       {"model", model_json(config, Decoder(config).params().elements(), options)},
                       {"step", step}};
  deliver(report, options, common, [&] {
    fmt::print(
        "a step of {} tokens: {:.3f} s (best {:.3f}), {:.1f} tokens/s; {:.1f} GFLOP/s, "
        "{:.2f} of the peak; memory {}\n",
        speed.tokens, speed.step.median, speed.step.best, per_second,
        speed.flops_per_second() / 1e9, share, short_bytes(static_cast<double>(speed.peak_bytes)));
  });
}

Json curve_json(const ThroughputCurve& curve) {
  Json points = Json::array();
  for (const ThroughputPoint& point : curve.points) {
    points.push_back({{"batch", point.batch},
                      {"latency_seconds", point.latency},
                      {"prompt_share", point.prompt_share},
                      {"peak_bytes", point.peak_bytes},
                      {"tokens_per_second", point.tokens_per_second}});
  }
  return {{"model", curve.name},
          {"parameters", curve.parameters},
          {"fitting_batch", curve.fitting_batch},
          {"points", points}};
}

void print_curve(const ThroughputCurve& curve) {
  fmt::print("{}, {} parameters, at most {} sequences\n", curve.name, curve.parameters,
             curve.fitting_batch);
  for (const ThroughputPoint& point : curve.points) {
    fmt::print("  batch {:>4}: {:>9.1f} s, {:>8.1f} tokens/s, {}\n", point.batch, point.latency,
               point.tokens_per_second, short_bytes(point.peak_bytes));
  }
}

void run_throughput(const BenchOptions& options, const Common& common) {
  constexpr double gib = 1 << 30;
  const ThroughputOptions measured = {.prompt = options.prompt,
                                      .generated = options.generated,
                                      .memory_bytes = options.memory_gib * gib,
                                      .max_batch = options.max_batch,
                                      .chunk = options.chunk,
                                      .perf = options.perf};
  PresetOptions other = options.preset;
  other.name = options.other;
  CeilingWatch ceilings(options.perf.ceilings);
  ceilings.sample();
  std::vector<ThroughputCurve> curves;
  for (const ModelConfig& config : {make_config(options.preset, options.parametrization),
                                    make_config(other, options.parametrization)}) {
    curves.push_back(measure_throughput(config, precision_of(options), measured));
    ceilings.sample();
  }
  if (!options.plot.empty()) {
    plot_throughput(curves, options.plot);
  }
  const double ratio = curves[0].best().tokens_per_second / curves[1].best().tokens_per_second;
  const Json report = {{"command", "throughput"},
                       {"machine", machine_json(ceilings.best())},
                       {"dtype", options.dtype},
                       {"prompt", options.prompt},
                       {"generated", options.generated},
                       {"memory_bytes", measured.memory_bytes},
                       {"curves", {curve_json(curves[0]), curve_json(curves[1])}},
                       {"ratio", ratio}};
  deliver(report, options, common, [&] {
    print_curve(curves[0]);
    print_curve(curves[1]);
    fmt::print("best throughput, {} over {}: {:.2f}\n", curves[0].name, curves[1].name, ratio);
  });
}

void add_model_options(CLI::App& command, BenchOptions& options) {
  command.add_option("--model", options.model,
                     "Model folder, or a name on the Hub; else random weights of --preset");
  add_bits_option(command, options.bits);
}

void add_decode_options(CLI::App& command, BenchOptions& options) {
  add_model_options(command, options);
  command.add_option("--positions", options.positions, "Where in a sequence")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--batch", options.batch, "Sequences in a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_positions_options(CLI::App& command, BenchOptions& options) {
  options.positions = {1024, 32768};
  add_decode_options(command, options);
}

void add_chunk_option(CLI::App& command, BenchOptions& options) {
  command.add_option("--chunk", options.chunk, "Tokens of a prompt that are fed at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_prefill_options(CLI::App& command, BenchOptions& options) {
  add_model_options(command, options);
  command.add_option("--tokens", options.tokens, "Tokens of the prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_chunk_option(command, options);
}

void add_long_options(CLI::App& command, BenchOptions& options) {
  options.tokens = 40000;
  add_model_options(command, options);
  command.add_option("--tokens", options.tokens, "Tokens generated")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--windows", options.windows, "Lines of the table")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_survey_options(CLI::App& command, BenchOptions& options) {
  const SurveyOptions all;
  options.preset = {.name = "phi4miniflash"};  // at its own depth, the published one
  options.prompts = all.prompts;
  options.positions = all.positions;
  options.batches = all.batches;
  add_model_options(command, options);
  const auto add = [&](const char* name, std::vector<int64_t>& numbers, const CLI::Validator& check,
                       const char* description) {
    command.add_option(name, numbers, description)
        ->delimiter(',')
        ->check(check)
        ->capture_default_str();
  };
  add("--prompts", options.prompts, CLI::PositiveNumber, "Tokens of the prompts");
  add("--positions", options.positions, CLI::NonNegativeNumber, "Where tokens are decoded");
  add("--batches", options.batches, CLI::PositiveNumber, "Sequences that are decoded at once");
  command.add_option("--only", options.only, "A part of the table")
      ->check(CLI::IsMember({"prompts", "decoding"}));
  add_chunk_option(command, options);
}

void add_train_options(CLI::App& command, BenchOptions& options) {
  command.add_option("--rows", options.rows, "Rows of a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--row-length", options.row_length, "Tokens of a row")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_throughput_options(CLI::App& command, BenchOptions& options) {
  options.perf.seconds = 1;
  command.add_option("--against", options.other, "Preset to compare with, of the same depth")
      ->check(CLI::IsMember(preset_names()))
      ->capture_default_str();
  command.add_option("--memory", options.memory_gib, "Memory of either model in GiB")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--prompt", options.prompt, "Tokens of the prompts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--generate", options.generated, "Tokens generated after them")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 40))
      ->capture_default_str();
  command.add_option("--max-batch", options.max_batch, "Largest batch; 0: what fits")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_chunk_option(command, options);
  command.add_option("--plot", options.plot, "Latency over throughput, .svg or .png");
}

struct Measurement {
  const char* name;
  const char* description;
  const char* example;                                    // options of one
  void (*add)(CLI::App& command, BenchOptions& options);  // null: no options of its own
  void (*run)(const BenchOptions& options, const Common& common);
};

constexpr Measurement measurements[] = {
    {"ceilings", "What this machine can do at best", "--json", nullptr, run_ceilings},
    {"decode", "Time of a token, beside the read bandwidth", "--depth 16", add_decode_options,
     run_decode},
    {"positions", "The same early and late in a sequence", "--depth 8", add_positions_options,
     run_decode},
    {"prefill", "Time and memory of a prompt, beside the matrix peak", "--tokens 2048",
     add_prefill_options, run_prefill},
    {"long", "One long generation: time and memory as it grows", "--depth 8 --tokens 40000",
     add_long_options, run_long},
    {"survey", "Load time, memory, prompts and decoding: all in one table",
     "--prompts 512,2048 --batches 1", add_survey_options, run_survey},
    {"train", "Time of an optimiser step, beside the matrix peak", "--depth 8 --width 704",
     add_train_options, run_train},
    {"throughput", "Long generation in a given memory, of two presets",
     "--depth 8 --memory 4 --plot throughput.svg", add_throughput_options, run_throughput},
};

}  // namespace

void add_bench(CLI::App& command, const Common& common) {
  command.require_subcommand(1);
  for (const Measurement& measurement : measurements) {
    CLI::App& sub = *command.add_subcommand(measurement.name, measurement.description);
    sub.fallthrough();
    const auto options = std::make_shared<BenchOptions>();
    if (measurement.add != nullptr) {
      options->preset.depth = 16;
      add_preset_options(sub, options->preset, options->parametrization);
      measurement.add(sub, *options);
      if (sub.get_option_no_throw("--model") == nullptr) {
        options->dtype = "bf16";
      }
      add_dtype_option(sub, options->dtype);
      add_kv_bits_option(sub, options->kv_bits);
      sub.add_option("--seconds", options->perf.seconds, "Timed work a figure")
          ->check(CLI::NonNegativeNumber)
          ->capture_default_str();
    }
    sub.add_option("--out", options->out, "File for the results as JSON");
    sub.footer(fmt::format("Example: sambay bench {} {}", measurement.name, measurement.example));
    sub.callback([options, &common, run = measurement.run] {
      if (!options->model.empty()) {
        options->model = model_folder(options->model, common);
      }
      double& ceiling_seconds = options->perf.ceilings.seconds_per_figure;
      ceiling_seconds = std::min(ceiling_seconds, options->perf.seconds);
      if (options->dtype.empty()) {
        options->dtype =
            options->model.empty() ? "bf16" : name(stored_precision(options->model).compute);
      }
      run(*options, common);
    });
  }
}

}  // namespace sambay::cli
