#include "perf/generation.h"

#include <algorithm>

#include "model/dry_run.h"
#include "perf/resident.h"

namespace sambay {
namespace {

Bound nearer_bound(const Cost& cost, double seconds, double reads, double peak) {
  const double bytes = read_bytes(cost);
  if (bytes / reads >= cost.matrix_flops / peak) {
    return {.by_memory = true, .rate = bytes / seconds, .ceiling = reads};
  }
  return {.by_memory = false, .rate = cost.matrix_flops / seconds, .ceiling = peak};
}

}  // namespace

Bound DecodeSpeed::bound(double matrix_peak) const {
  return nearer_bound(cost, step.median, step.ceiling_work / step.median, matrix_peak);
}

Bound PrefillSpeed::bound(double read_bytes_per_second, double matrix_peak) const {
  return nearer_bound(cost, prompt.median, read_bytes_per_second, matrix_peak);
}

std::vector<DecodeSpeed> measure_decode(Rig& rig, std::span<const int64_t> positions, int64_t batch,
                                        const PerfOptions& options, CeilingWatch& ceilings) {
  const int64_t room = *std::ranges::max_element(positions) + 1;
  std::vector<SequenceState> states;
  for (int64_t s = 0; s < batch; ++s) {
    states.push_back(rig.sequence(room));
  }
  // Long enough to be memory's alone, and to span the moments in which others use it.
  constexpr size_t pass_bytes = size_t{1} << 28;
  ops::ReadCeiling memory(options.ceilings.buffer_bytes);
  std::vector<DecodeSpeed> speeds;
  std::vector<TimedWork> steps;
  for (const int64_t position : positions) {
    const auto stand = [&states, position] {
      for (auto& state : states) {
        Rig::stand_at(state, position);
      }
    };
    const auto step = [&rig, &states] { rig.forward(states, 1, 1); };
    stand();
    speeds.push_back({.position = position, .batch = batch, .step = {}, .cost = cost_of(step)});
    steps.push_back({stand, step});
  }
  ceilings.sample();
  const auto timings =
      time_in_turn(options.seconds, steps, [&] { return memory.pass(pass_bytes); });
  for (size_t i = 0; i < speeds.size(); ++i) {
    speeds[i].step = timings[i];
  }
  ceilings.sample();
  return speeds;
}

PrefillSpeed measure_prefill(Rig& rig, int64_t tokens, int64_t chunk, const PerfOptions& options,
                             CeilingWatch& ceilings, const std::function<void(int64_t)>& fed) {
  PrefillSpeed speed{.tokens = tokens, .chunk = chunk, .prompt = {}, .cost = {}};
  const auto expected = dry_generation(rig.decoder().config(), rig.precision(), tokens, chunk);
  speed.cost = expected.prefill;
  speed.predicted_bytes = expected.peak_bytes;
  ceilings.sample();
  rig.arena().reset_peak();
  restart_resident_peak();
  std::vector<SequenceState> state;
  state.emplace_back(rig.decoder().state_spec(rig.precision()), rig.arena());
  const auto read = [&](int64_t count) { rig.prefill(state, count, chunk, fed); };
  speed.prompt = time_runs(options.seconds, {.prepare = [&] { state[0].reset(); },
                                             .run = [&] { read(tokens); },
                                             .warm_up = [&] { read(std::min(tokens, chunk)); }});
  rig.forward(state, 1, 1);
  speed.peak_bytes = rig.arena().peak_bytes();
  speed.resident_bytes = resident_peak();
  ceilings.sample();
  return speed;
}

}  // namespace sambay
