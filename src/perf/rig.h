// A model and sequences for measurements: random contents, made in seconds at any size.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "model/decoder.h"
#include "ops/cost.h"

namespace sambay {

// Uniform numbers in [-limit, limit), the same for the same seed.
void fill_uniform(const Tensor& tensor, float limit, uint64_t seed);

class Rig {
 public:
  // Random weights, of a size that keeps activations near 1; on Device::meta only shapes.
  Rig(const ModelConfig& config, const Precision& precision, Device device = Device::cpu);
  // A model folder's.
  Rig(const std::filesystem::path& folder, const Precision& precision);

  Decoder& decoder() { return decoder_; }
  Arena& arena() { return arena_; }
  const Precision& precision() const { return precision_; }

  // A sequence with room for `tokens`, random wherever it can be read.
  SequenceState sequence(int64_t tokens);
  // Makes a sequence stand at a position for which it has room; its tokens stay as they are.
  static void stand_at(SequenceState& state, int64_t position);

  // Feeds each sequence `rows` tokens and takes `wanted` rows of logits of each.
  Tensor forward(std::vector<SequenceState>& states, int64_t rows, int32_t wanted);
  // Feeds one sequence `tokens` in pieces of `chunk` and takes the last one's logits. `fed` hears
  // after each piece how many it had.
  void prefill(std::vector<SequenceState>& state, int64_t tokens, int64_t chunk,
               const std::function<void(int64_t tokens)>& fed = {});

 private:
  Arena arena_;  // outlives the weights
  Precision precision_;
  Decoder decoder_;
};

// What the ops that `work` calls cost.
template <class Work>
Cost cost_of(Work work) {
  Cost cost;
  const ScopedCostMeter meter(cost);
  work();
  return cost;
}

}  // namespace sambay
