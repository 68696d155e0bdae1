#include <fmt/format.h>

#include "base/progress.h"
#include "cli/bench.h"
#include "cli/options.h"
#include "perf/long_generation.h"

namespace sambay::cli {
namespace {

using Json = nlohmann::json;

Json window_json(const GenerationWindow& window) {
  return {{"begin", window.begin},
          {"end", window.end},
          {"seconds_per_token", window.seconds_per_token()},
          {"bytes_per_token", window.bytes_per_token()},
          {"share_of_read_bandwidth", window.memory_seconds / window.seconds},
          {"state_bytes", window.state_bytes},
          {"resident_bytes", window.resident_bytes}};
}

void print_windows(const std::vector<GenerationWindow>& windows) {
  const GenerationWindow& first = windows.front();
  fmt::print("{:>17} {:>10} {:>8} {:>10} {:>9} {:>11} {:>11}\n", "tokens", "ms a token", "of first",
             "bytes, too", "of memory", "state", "process");
  for (const GenerationWindow& window : windows) {
    fmt::print("{:>8} - {:>6} {:>10.3f} {:>8.3f} {:>10.3f} {:>9.2f} {:>11} {:>11}\n", window.begin,
               window.end, 1e3 * window.seconds_per_token(),
               window.seconds_per_token() / first.seconds_per_token(),
               window.bytes_per_token() / first.bytes_per_token(),
               window.memory_seconds / window.seconds,
               short_bytes(static_cast<double>(window.state_bytes)),
               short_bytes(static_cast<double>(window.resident_bytes)));
  }
}

}  // namespace

void run_long(const BenchOptions& options, const Common& common) {
  const auto rig = make_rig(options);
  CeilingWatch ceilings(options.perf.ceilings);
  ceilings.sample();
  Progress progress("long", options.tokens, {.unit = "tokens", .quiet = common.json});
  const auto windows =
      measure_long_generation(*rig, options.tokens, std::min(options.windows, options.tokens),
                              options.perf, [&](int64_t done) { progress.update(done); });
  progress.finish();
  ceilings.sample();
  Json rows = Json::array();
  for (const GenerationWindow& window : windows) {
    rows.push_back(window_json(window));
  }
  const Json report = {{"command", "long"},
                       {"machine", machine_json(ceilings.best())},
                       {"model", model_json(*rig, options)},
                       {"windows", rows}};
  deliver(report, options, common, [&] { print_windows(windows); });
}

}  // namespace sambay::cli
