// One long generation from an empty sequence: whether a token costs what its bytes say, however
// many went before, and whether memory grows by the cache alone.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "perf/generation.h"

namespace sambay {

struct GenerationWindow {
  int64_t begin = 0, end = 0;  // tokens
  double seconds = 0;          // of its steps
  double bytes = 0;            // that they must read (read_bytes)
  // What reading as much took in passes over memory, which were taken between the steps.
  double memory_seconds = 0;
  size_t state_bytes = 0;     // of the sequence at its end
  size_t resident_bytes = 0;  // of the process then

  double seconds_per_token() const { return seconds / static_cast<double>(end - begin); }
  double bytes_per_token() const { return bytes / static_cast<double>(end - begin); }
};

// `tokens` steps of one sequence, cut into `windows`. `done` hears after each step how many there
// were.
std::vector<GenerationWindow> measure_long_generation(
    Rig& rig, int64_t tokens, int64_t windows, const PerfOptions& options,
    const std::function<void(int64_t tokens)>& done = {});

}  // namespace sambay
