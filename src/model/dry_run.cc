#include "model/dry_run.h"

#include <algorithm>

#include "model/weights.h"

namespace sambay {
namespace {

// Costs of a forward over `rows` more tokens that wants the logits of the last `wanted`.
Cost step(const Decoder& decoder, Exec& exec, SequenceState& state, int64_t rows, int32_t wanted) {
  const std::vector<int32_t> ids(static_cast<size_t>(rows), 0);
  Segments segments;
  segments.add(rows, state.length());
  Cost cost;
  const ScopedCostMeter meter(cost);
  decoder.logits(exec, {ids, segments, {&state}, {wanted}});
  return cost;
}

}  // namespace

GenerationCost dry_generation(const ModelConfig& config, const Precision& precision, int64_t prompt,
                              int64_t chunk) {
  Arena arena(Device::meta);
  Exec exec{&arena, nullptr, precision};
  Decoder decoder(config);
  GenerationCost out;
  allocate(decoder, precision, arena);
  out.weight_bytes = arena.bytes_in_use();
  SequenceState state(decoder.state_spec(precision), arena);
  while (state.length() < prompt) {
    const int64_t rows = std::min(chunk, prompt - state.length());
    out.prefill += step(decoder, exec, state, rows, state.length() + rows == prompt ? 1 : 0);
  }
  out.state_bytes = state.bytes();
  out.decode = step(decoder, exec, state, 1, 1);
  out.peak_bytes = arena.peak_bytes();
  return out;
}

}  // namespace sambay
