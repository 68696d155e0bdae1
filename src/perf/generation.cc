#include "perf/generation.h"

#include <fstream>
#include <string>

#include "model/dry_run.h"

namespace sambay {
namespace {

// The most memory that the process held since the last restart of the count (Linux).
void restart_resident_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

size_t resident_peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      size_t kib = 0;
      status >> kib;
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace

std::vector<DecodeSpeed> measure_decode(Rig& rig, std::span<const int64_t> positions, int64_t batch,
                                        const PerfOptions& options, CeilingWatch& ceilings) {
  // Steps that are timed go on from the position.
  constexpr int64_t spare = 4096;
  const int64_t room = *std::ranges::max_element(positions) + spare;
  std::vector<SequenceState> states;
  for (int64_t s = 0; s < batch; ++s) {
    states.push_back(rig.sequence(room));
  }
  std::vector<DecodeSpeed> speeds;
  for (const int64_t position : positions) {
    for (auto& state : states) {
      Rig::stand_at(state, position);
    }
    ceilings.sample();
    DecodeSpeed speed{.position = position, .batch = batch, .step = {}, .cost = {}};
    speed.cost = cost_of([&] { rig.forward(states, 1, 1); });
    speed.step = time_runs(options.seconds, [&] { rig.forward(states, 1, 1); });
    speeds.push_back(speed);
  }
  ceilings.sample();
  return speeds;
}

PrefillSpeed measure_prefill(Rig& rig, int64_t tokens, int64_t chunk, const PerfOptions& options,
                             CeilingWatch& ceilings) {
  PrefillSpeed speed{.tokens = tokens, .chunk = chunk, .prompt = {}, .cost = {}};
  ceilings.sample();
  rig.arena().reset_peak();
  restart_resident_peak();
  std::vector<SequenceState> state;
  state.emplace_back(rig.decoder().state_spec(rig.precision()), rig.arena());
  speed.cost = cost_of([&] { rig.prefill(state, tokens, chunk); });
  rig.forward(state, 1, 1);
  speed.peak_bytes = rig.arena().peak_bytes();
  speed.resident_bytes = resident_peak();
  speed.predicted_bytes =
      dry_generation(rig.decoder().config(), rig.precision(), tokens, chunk).peak_bytes;
  speed.prompt = time_runs(options.seconds, [&] {
    state[0].reset();
    rig.prefill(state, tokens, chunk);
  });
  ceilings.sample();
  return speed;
}

}  // namespace sambay
