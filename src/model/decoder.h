// The model: embedding, layers, norm, head. One forward for training, prefill and decode.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "model/sequence_state.h"
#include "nn/mixer.h"
#include "ops/cross_entropy.h"

namespace sambay {

// Tokens of several segments, with or without the state of the sequences that they continue.
struct ForwardInput {
  std::span<const int32_t> ids;        // segments.rows() of them
  Segments segments;                   // with states: past[s] == states[s]->length()
  std::vector<SequenceState*> states;  // empty, or one a segment: then read and advanced
  std::vector<int32_t> wanted;  // empty: all rows; else the last wanted[s] rows of each segment
};

class Decoder {
 public:
  // Declares all parameters and checks the wiring: every memory read has one earlier writer of the
  // right shape. Throws Error naming the layer and field. Weights are bound afterwards
  // (model/weights.h).
  explicit Decoder(ModelConfig config);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  const ModelConfig& config() const;
  ParamStore& params();
  const ParamStore& params() const;
  ModelStateSpec state_spec(const Precision& precision) const;

  // ln_f output times the logit multiplier at the wanted rows, (wanted, D) in compute. What no
  // wanted row asks for is not computed (docs/design.md, idea 2).
  Var hidden(Exec& exec, const ForwardInput& input) const;
  // (wanted, vocab_size) in accum.
  Tensor logits(Exec& exec, const ForwardInput& input) const;

  struct LossOptions {
    ops::CrossEntropyOptions cross_entropy;  // gradient_scale applies to the sum over tokens
    bool gradients = false;                  // adds to every Param's weight.gradient
  };
  // Sums over the tokens with targets[t] >= 0.
  ops::CrossEntropySums loss(Exec& exec, const ForwardInput& input,
                             std::span<const int32_t> targets, const LossOptions& options) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sambay
