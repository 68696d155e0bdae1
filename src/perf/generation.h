// How fast a model reads a prompt and writes tokens, beside what the machine could do.
#pragma once

#include <span>

#include "perf/clock.h"
#include "perf/rig.h"

namespace sambay {

struct PerfOptions {
  double seconds = 3;  // of timed work a figure
  ops::CeilingOptions ceilings;
};

// A step of `batch` sequences that stand at one position.
struct DecodeSpeed {
  int64_t position = 0, batch = 0;
  Timing step;
  Cost cost;

  // What must come from memory: activations stay in the caches.
  double read_bytes() const { return cost.weight_bytes + cost.state_bytes; }
  double bytes_per_second() const { return read_bytes() / step.median; }
  // Of what memory alone would have delivered meanwhile, measured in turn with the steps.
  double share_of_read_bandwidth() const { return read_bytes() / step.ceiling_work; }
  double tokens_per_second() const { return static_cast<double>(batch) / step.median; }
};
std::vector<DecodeSpeed> measure_decode(Rig& rig, std::span<const int64_t> positions, int64_t batch,
                                        const PerfOptions& options, CeilingWatch& ceilings);

struct PrefillSpeed {
  int64_t tokens = 0, chunk = 0;
  Timing prompt;
  Cost cost;
  // Of generation: weights, state and activations.
  size_t peak_bytes = 0;
  size_t resident_bytes = 0;   // of the process, at its highest; 0 where the system does not tell
  size_t predicted_bytes = 0;  // model/dry_run.h

  double flops_per_second() const { return cost.matrix_flops / prompt.median; }
};
// A prompt from an empty state to the logits of its last token.
PrefillSpeed measure_prefill(Rig& rig, int64_t tokens, int64_t chunk, const PerfOptions& options,
                             CeilingWatch& ceilings);

}  // namespace sambay
