#include "perf/long_generation.h"

#include <chrono>

#include "perf/resident.h"

namespace sambay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

std::vector<GenerationWindow> measure_long_generation(Rig& rig, int64_t tokens, int64_t windows,
                                                      const PerfOptions& options,
                                                      const std::function<void(int64_t)>& done) {
  // As measure_decode: long enough to be memory's alone, and a few percent of the time.
  constexpr size_t pass_bytes = size_t{1} << 28;
  constexpr int64_t steps_a_pass = 40;
  ops::ReadCeiling memory(options.ceilings.buffer_bytes);
  std::vector<SequenceState> state;
  state.emplace_back(rig.decoder().state_spec(rig.precision()), rig.arena());
  std::vector<GenerationWindow> out;
  for (int64_t w = 0; w < windows; ++w) {
    GenerationWindow window{.begin = tokens * w / windows, .end = tokens * (w + 1) / windows};
    double pass_seconds = 0;  // of a byte, summed over the passes
    int64_t passes = 0;
    const Cost cost = cost_of([&] {
      for (int64_t t = window.begin; t < window.end; ++t) {
        if ((t - window.begin) % steps_a_pass == 0) {
          pass_seconds += 1 / memory.pass(pass_bytes);
          ++passes;
        }
        const auto begin = Clock::now();
        rig.forward(state, 1, 1);
        window.seconds += seconds_since(begin);
        if (done) {
          done(t + 1);
        }
      }
    });
    window.bytes = read_bytes(cost);
    window.memory_seconds =
        passes > 0 ? window.bytes * pass_seconds / static_cast<double>(passes) : 0;
    window.state_bytes = state[0].bytes();
    window.resident_bytes = resident_bytes();
    out.push_back(window);
  }
  return out;
}

}  // namespace sambay
