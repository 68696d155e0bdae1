#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "base/progress.h"
#include "cli/bench.h"
#include "cli/options.h"
#include "model/dry_run.h"

namespace sambay::cli {
namespace {

using Json = nlohmann::json;

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

Json prompt_json(const PrefillSpeed& speed, double peak) {
  Json json = timing_json(speed.prompt);
  json.update({{"tokens", speed.tokens},
               {"chunk", speed.chunk},
               {"tokens_per_second", speed.tokens_per_second()},
               {"matrix_flops", speed.cost.matrix_flops},
               {"flops_per_second", speed.flops_per_second()},
               {"share_of_matrix_peak", speed.flops_per_second() / peak}});
  return json;
}

Json memory_json(const PrefillSpeed& speed) {
  return {{"predicted_bytes", speed.predicted_bytes},
          {"peak_bytes", speed.peak_bytes},
          {"predicted_process_bytes", speed.predicted_bytes + program_bytes},
          {"resident_bytes", speed.resident_bytes}};
}

std::string bytes_text(size_t bytes) {
  return short_bytes(static_cast<double>(bytes));
}

Json bound_json(const Bound& bound) {
  return {{"by", bound.by_memory ? "memory" : "arithmetic"},
          {"rate", bound.rate},
          {"ceiling", bound.ceiling},
          {"share", bound.share()}};
}

// A line of the table: its JSON is what it is printed from.
void print_row(const std::string& what, const Json& row, const std::string& memory) {
  const Json& bound = row["bound"];
  const bool by_memory = bound["by"] == "memory";
  const double unit = by_memory ? 1e9 : 1e12;
  fmt::print("{:24} {:>9.4f} {:>10.2f} {:>8.{}f} of {:>6.{}f} {:8} {:>5.2f}{}\n", what,
             row["median_seconds"].get<double>(), row["tokens_per_second"].get<double>(),
             bound["rate"].get<double>() / unit, by_memory ? 1 : 3,
             bound["ceiling"].get<double>() / unit, by_memory ? 1 : 3,
             by_memory ? "GB/s" : "TFLOP/s", bound["share"].get<double>(), memory);
}

void print_survey(const Json& report) {
  const Json& load = report["load"];
  fmt::print("{} in {:.2f} s, first token after {:.2f} s\n\n",
             load["random_weights"].get<bool>() ? "random weights made" : "opened",
             load["open_seconds"].get<double>(), load["first_token_seconds"].get<double>());
  fmt::print("{:24} {:>9} {:>10} {:>27} {:>5}  {}\n", "", "seconds", "tokens/s",
             "of what bounds it", "share", "memory of the process (predicted)");
  for (const Json& prompt : report["prompts"]) {
    const Json& memory = prompt["memory"];
    print_row(fmt::format("prompt of {}", prompt["tokens"].get<int64_t>()), prompt,
              fmt::format("  {} ({})", bytes_text(memory["resident_bytes"].get<size_t>()),
                          bytes_text(memory["predicted_process_bytes"].get<size_t>())));
  }
  for (const Json& step : report["steps"]) {
    print_row(fmt::format("token at {}, batch {}", step["position"].get<int64_t>(),
                          step["batch"].get<int64_t>()),
              step, "");
  }
}

Json survey_json(const Survey& survey, const ops::Ceilings& ceilings, double peak) {
  Json prompts = Json::array(), steps = Json::array();
  for (const PrefillSpeed& speed : survey.prompts) {
    Json& prompt = prompts.emplace_back(prompt_json(speed, peak));
    prompt["bound"] = bound_json(speed.bound(ceilings.read_bytes_per_second, peak));
    prompt["memory"] = memory_json(speed);
  }
  for (const DecodeSpeed& speed : survey.steps) {
    steps.emplace_back(decode_json(speed))["bound"] = bound_json(speed.bound(peak));
  }
  return {{"command", "survey"}, {"prompts", prompts}, {"steps", steps}};
}

SurveyOptions survey_options(const BenchOptions& options) {
  SurveyOptions survey = {.prompts = options.prompts,
                          .positions = options.positions,
                          .batches = options.batches,
                          .chunk = options.chunk,
                          .perf = options.perf};
  if (options.only == "prompts") {
    survey.batches.clear();
  } else if (options.only == "decoding") {
    survey.prompts.clear();
  }
  return survey;
}

}  // namespace

void run_decode(const BenchOptions& options, const Common& common) {
  const auto rig = make_rig(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speeds =
      measure_decode(*rig, options.positions, options.batch, options.perf, ceilings);
  Json steps = Json::array();
  for (const DecodeSpeed& speed : speeds) {
    steps.push_back(decode_json(speed));
  }
  const double growth = speeds.back().step.median / speeds.front().step.median;
  const Json report = {{"command", "decode"},
                       {"machine", machine_json(ceilings.best())},
                       {"model", model_json(*rig, options)},
                       {"steps", steps},
                       {"last_over_first", growth}};
  deliver(report, options, common, [&] {
    for (const DecodeSpeed& speed : speeds) {
      fmt::print(
          "at {:>6}: {:.3f} ms a step (best {:.3f}), {:.1f} tokens/s; {} read, {:.1f} GB/s, {:.2f} "
          "of what memory delivered in turn\n",
          speed.position, 1e3 * speed.step.median, 1e3 * speed.step.best, speed.tokens_per_second(),
          short_bytes(read_bytes(speed.cost)), speed.bytes_per_second() / 1e9,
          speed.share_of_read_bandwidth());
    }
    if (speeds.size() > 1) {
      fmt::print("last over first: {:.3f}\n", growth);
    }
  });
}

void run_prefill(const BenchOptions& options, const Common& common) {
  const auto rig = make_rig(options);
  CeilingWatch ceilings(options.perf.ceilings);
  const auto speed = measure_prefill(*rig, options.tokens, options.chunk, options.perf, ceilings);
  const double peak = matrix_peak(ceilings.best(), rig->precision());
  const Json report = {{"command", "prefill"},
                       {"machine", machine_json(ceilings.best())},
                       {"model", model_json(*rig, options)},
                       {"prompt", prompt_json(speed, peak)},
                       {"memory", memory_json(speed)}};
  deliver(report, options, common, [&] {
    fmt::print(
        "{} tokens: {:.3f} s (best {:.3f}), {:.1f} tokens/s; {:.1f} GFLOP/s, {:.2f} of the "
        "peak\n",
        speed.tokens, speed.prompt.median, speed.prompt.best, speed.tokens_per_second(),
        speed.flops_per_second() / 1e9, speed.flops_per_second() / peak);
    fmt::print("memory of generation: predicted {}, peak {}, resident {}\n",
               bytes_text(speed.predicted_bytes), bytes_text(speed.peak_bytes),
               bytes_text(speed.resident_bytes));
  });
}

void run_survey(const BenchOptions& options, const Common& common) {
  const auto begin = std::chrono::steady_clock::now();
  const auto rig = make_rig(options);
  const std::chrono::duration<double> open = std::chrono::steady_clock::now() - begin;
  CeilingWatch ceilings(options.perf.ceilings);
  std::optional<Progress> progress;
  const auto tell = [&](double done, double all, const std::string& what) {
    constexpr double milliseconds = 1e3;
    if (!progress) {
      if (!common.json) {
        fmt::print(stderr, "at this machine's ceilings this takes {}\n", duration_text(all));
      }
      progress.emplace("survey", std::llround(milliseconds * all),
                       ProgressOptions{.unit = "ms", .quiet = common.json});
    }
    progress->update(std::llround(milliseconds * done), what);
  };
  const Survey survey = measure_survey(*rig, survey_options(options), ceilings, tell);
  progress.reset();
  Json report =
      survey_json(survey, ceilings.best(), matrix_peak(ceilings.best(), rig->precision()));
  report["machine"] = machine_json(ceilings.best());
  report["model"] = model_json(*rig, options);
  report["load"] = {{"random_weights", options.model.empty()},
                    {"open_seconds", open.count()},
                    {"first_token_seconds", survey.first_token_seconds}};
  deliver(report, options, common, [&] { print_survey(report); });
}

}  // namespace sambay::cli
