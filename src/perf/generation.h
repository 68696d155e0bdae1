// How fast a model reads a prompt and writes tokens, beside what the machine could do.
#pragma once

#include <functional>
#include <span>

#include "perf/clock.h"
#include "perf/rig.h"

namespace sambay {

struct PerfOptions {
  double seconds = 3;  // of timed work a figure
  ops::CeilingOptions ceilings;
};

// What must come from memory: activations stay in the caches.
inline double read_bytes(const Cost& cost) {
  return cost.weight_bytes + cost.state_bytes;
}
// Operations a second of products in this precision.
inline double matrix_peak(const ops::Ceilings& ceilings, const Precision& precision) {
  return precision.compute == DType::bf16 ? ceilings.bf16_flops_per_second
                                          : ceilings.f32_flops_per_second;
}

// What bounds a piece of work on this machine, memory or arithmetic, and how near to that it came.
struct Bound {
  bool by_memory = false;
  double rate = 0, ceiling = 0;  // bytes or operations a second

  double share() const { return rate / ceiling; }
};

// A step of `batch` sequences that stand at one position.
struct DecodeSpeed {
  int64_t position = 0, batch = 0;
  Timing step;
  Cost cost;

  double bytes_per_second() const { return read_bytes(cost) / step.median; }
  // Of what memory alone would have delivered meanwhile, measured in turn with the steps.
  double share_of_read_bandwidth() const { return read_bytes(cost) / step.ceiling_work; }
  double tokens_per_second() const { return static_cast<double>(batch) / step.median; }
  Bound bound(double matrix_peak) const;
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
  double tokens_per_second() const { return static_cast<double>(tokens) / prompt.median; }
  Bound bound(double read_bytes_per_second, double matrix_peak) const;
};
// A prompt from an empty state to the logits of its last token. A first piece warms up; `fed` hears
// after each piece how many tokens it had.
PrefillSpeed measure_prefill(Rig& rig, int64_t tokens, int64_t chunk, const PerfOptions& options,
                             CeilingWatch& ceilings,
                             const std::function<void(int64_t tokens)>& fed = {});

}  // namespace sambay
