#include <fmt/format.h>

#include "base/cpu.h"
#include "base/files.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "perf/throughput.h"
#include "perf/training.h"

namespace sambay::cli {
namespace {

using Json = nlohmann::json;

struct Options {
  std::string model, parametrization = "mup++", dtype = "bf16", out, plot;
  PresetOptions preset{.name = "sambay"};
  std::vector<int64_t> positions = {1024};
  int bits = 0;
  int64_t batch = 1, tokens = 2048, chunk = 512, rows = 1, row_length = 2048;
  std::string other = "transformer";
  double memory_gib = 8;
  int64_t prompt = 2000, generated = 32000, max_batch = 0;
  PerfOptions perf;
};

Precision precision_of(const Options& options) {
  return parse_precision(options.dtype);
}

ModelConfig config_of(const Options& options) {
  if (!options.model.empty()) {
    return ModelConfig::load(std::filesystem::path(options.model) / "config.json");
  }
  auto config = make_config(options.preset, options.parametrization);
  if (options.bits > 0) {
    config.quantization = quantization_of_bits(options.bits);
  }
  return config;
}

std::unique_ptr<Rig> make_rig(const Options& options) {
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

double matrix_peak(const ops::Ceilings& ceilings, const Options& options) {
  return options.dtype == "bf16" ? ceilings.bf16_flops_per_second : ceilings.f32_flops_per_second;
}

Json timing_json(const Timing& timing) {
  return {{"median_seconds", timing.median},
          {"best_seconds", timing.best},
          {"processor_seconds", timing.processor},
          {"runs", timing.runs}};
}

Json model_json(const ModelConfig& config, int64_t parameters, const Options& options) {
  return {{"name", config.name},
          {"parameters", parameters},
          {"dtype", options.dtype},
          {"quantization", name(config.quantization)}};
}

void print_machine(const Json& machine) {
  fmt::print("machine: {} threads, {}: reads {:.1f} GB/s, f32 {:.0f} and bf16 {:.0f} GFLOP/s\n",
             machine["threads"].get<int>(), machine["instructions"].get<std::string>(),
             machine["read_bytes_per_second"].get<double>() / 1e9,
             machine["f32_flops_per_second"].get<double>() / 1e9,
             machine["bf16_flops_per_second"].get<double>() / 1e9);
}

// The report goes to --out as JSON, and to the terminal as JSON or as `text` prints it.
template <class Text>
void deliver(const Json& report, const Options& options, const Common& common, Text text) {
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
    fmt::print("model: {}, {} parameters, {}{}\n", report["model"]["name"].get<std::string>(),
               report["model"]["parameters"].get<int64_t>(), options.dtype,
               quantization == "none" ? "" : ", weights " + quantization);
  }
  text();
}

void run_ceilings(const Options& options, const Common& common) {
  CeilingWatch ceilings(options.perf.ceilings);
  for (int i = 0; i < 3; ++i) {
    ceilings.sample();
  }
  deliver({{"machine", machine_json(ceilings.best())}}, options, common, [] {});
}

Json decode_json(const DecodeSpeed& speed) {
  Json json = timing_json(speed.step);
  json.update({{"position", speed.position},
               {"batch", speed.batch},
               {"tokens_per_second", speed.tokens_per_second()},
               {"weight_bytes", speed.cost.weight_bytes},
               {"state_bytes", speed.cost.state_bytes},
               {"bytes_per_second", speed.bytes_per_second()},
               {"share_of_read_bandwidth", speed.share_of_read_bandwidth()}});
  return json;
}

void run_decode(const Options& options, const Common& common) {
  const auto rig = make_rig(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speeds =
      measure_decode(*rig, options.positions, options.batch, options.perf, ceilings);
  Json steps = Json::array();
  for (const DecodeSpeed& speed : speeds) {
    steps.push_back(decode_json(speed));
  }
  const double growth = speeds.back().step.median / speeds.front().step.median;
  const Json report = {
      {"command", "decode"},
      {"machine", machine_json(ceilings.best())},
      {"model", model_json(rig->decoder().config(), rig->decoder().params().elements(), options)},
      {"steps", steps},
      {"last_over_first", growth}};
  deliver(report, options, common, [&] {
    for (const DecodeSpeed& speed : speeds) {
      fmt::print(
          "at {:>6}: {:.3f} ms a step (best {:.3f}), {:.1f} tokens/s; {} read, {:.1f} GB/s, {:.2f} "
          "of what memory delivered in turn\n",
          speed.position, 1e3 * speed.step.median, 1e3 * speed.step.best, speed.tokens_per_second(),
          short_bytes(speed.read_bytes()), speed.bytes_per_second() / 1e9,
          speed.share_of_read_bandwidth());
    }
    if (speeds.size() > 1) {
      fmt::print("last over first: {:.3f}\n", growth);
    }
  });
}

void run_prefill(const Options& options, const Common& common) {
  const auto rig = make_rig(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speed = measure_prefill(*rig, options.tokens, options.chunk, options.perf, ceilings);
  const double share = speed.flops_per_second() / matrix_peak(ceilings.best(), options);
  const double per_second = static_cast<double>(speed.tokens) / speed.prompt.median;
  Json prompt = timing_json(speed.prompt);
  prompt.update({{"tokens", speed.tokens},
                 {"chunk", speed.chunk},
                 {"tokens_per_second", per_second},
                 {"matrix_flops", speed.cost.matrix_flops},
                 {"flops_per_second", speed.flops_per_second()},
                 {"share_of_matrix_peak", share}});
  const Json report = {
      {"command", "prefill"},
      {"machine", machine_json(ceilings.best())},
      {"model", model_json(rig->decoder().config(), rig->decoder().params().elements(), options)},
      {"prompt", prompt},
      {"memory",
       {{"predicted_bytes", speed.predicted_bytes},
        {"peak_bytes", speed.peak_bytes},
        {"resident_bytes", speed.resident_bytes}}}};
  deliver(report, options, common, [&] {
    fmt::print(
        "{} tokens: {:.3f} s (best {:.3f}), {:.1f} tokens/s; {:.1f} GFLOP/s, {:.2f} of the "
        "peak\n",
        speed.tokens, speed.prompt.median, speed.prompt.best, per_second,
        speed.flops_per_second() / 1e9, share);
    fmt::print("memory of generation: predicted {}, peak {}, resident {}\n",
               short_bytes(static_cast<double>(speed.predicted_bytes)),
               short_bytes(static_cast<double>(speed.peak_bytes)),
               short_bytes(static_cast<double>(speed.resident_bytes)));
  });
}

void run_train(const Options& options, const Common& common) {
  const ModelConfig config = config_of(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speed = measure_training(config, precision_of(options), options.rows,
                                      options.row_length, options.perf, ceilings);
  const double share = speed.flops_per_second() / matrix_peak(ceilings.best(), options);
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

void run_throughput(const Options& options, const Common& common) {
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

void add_model_options(CLI::App& command, Options& options) {
  command.add_option("--model", options.model,
                     "Model folder, or a name on the Hub; else random weights of --preset");
  add_bits_option(command, options.bits);
}

void add_decode_options(CLI::App& command, Options& options) {
  add_model_options(command, options);
  command.add_option("--positions", options.positions, "Where in a sequence")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--batch", options.batch, "Sequences in a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_positions_options(CLI::App& command, Options& options) {
  options.positions = {1024, 32768};
  add_decode_options(command, options);
}

void add_chunk_option(CLI::App& command, Options& options) {
  command.add_option("--chunk", options.chunk, "Tokens of a prompt that are fed at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_prefill_options(CLI::App& command, Options& options) {
  add_model_options(command, options);
  command.add_option("--tokens", options.tokens, "Tokens of the prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_chunk_option(command, options);
}

void add_train_options(CLI::App& command, Options& options) {
  command.add_option("--rows", options.rows, "Rows of a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--row-length", options.row_length, "Tokens of a row")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_throughput_options(CLI::App& command, Options& options) {
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
  const char* example;                               // options of one
  void (*add)(CLI::App& command, Options& options);  // null: no options of its own
  void (*run)(const Options& options, const Common& common);
};

constexpr Measurement measurements[] = {
    {"ceilings", "What this machine can do at best", "--json", nullptr, run_ceilings},
    {"decode", "Time of a token, beside the read bandwidth", "--depth 16", add_decode_options,
     run_decode},
    {"positions", "The same early and late in a sequence", "--depth 8", add_positions_options,
     run_decode},
    {"prefill", "Time and memory of a prompt, beside the matrix peak", "--tokens 2048",
     add_prefill_options, run_prefill},
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
    const auto options = std::make_shared<Options>();
    if (measurement.add != nullptr) {
      options->preset.depth = 16;
      add_preset_options(sub, options->preset, options->parametrization);
      add_dtype_option(sub, options->dtype);
      measurement.add(sub, *options);
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
      run(*options, common);
    });
  }
}

}  // namespace sambay::cli
