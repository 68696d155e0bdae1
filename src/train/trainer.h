// A model in training: its weights, gradients and optimiser, one step at a time.
#pragma once

#include <optional>
#include <span>

#include "model/decoder.h"
#include "ops/cost.h"
#include "train/optimizer.h"

namespace sambay {

struct Checkpoint;

class Trainer {
 public:
  // Fresh weights of the recipe's seed; on an arena of Device::meta only shapes.
  Trainer(const Recipe& recipe, Arena& arena);

  struct Report {
    double loss = 0;           // mean over the counted tokens of the whole step, nats
    double gradient_norm = 0;  // before clipping
    double learning_rate = 0;  // eta, before the groups' multipliers
    int64_t counted = 0;       // tokens with a target
    Cost cost;
  };
  // One optimiser step over all micro batches; the loss is normalised by their tokens together.
  // Where loss or norm is not finite the weights stay as they were, and the trainer is of no more
  // use. Throws Error if no token has a target.
  Report step(std::span<const TokenBatch> micro_batches);

  // Mean loss over the counted tokens, without smoothing and without gradients.
  double validate(std::span<const TokenBatch> batches);

  // Continues where a checkpoint stood.
  void restore(const Checkpoint& checkpoint);

  Decoder& decoder() { return decoder_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  int64_t steps_done() const { return optimizer_->steps_done(); }
  int64_t tokens_done() const { return optimizer_->steps_done() * recipe_.batch_tokens; }

  // The model as a folder (model/weights.h), from the masters: matrices in the compute dtype.
  void export_model(const std::filesystem::path& folder);

 private:
  ops::CrossEntropySums run(const TokenBatch& batch, const Decoder::LossOptions& options);

  Recipe recipe_;
  Arena& arena_;
  Decoder decoder_;
  std::optional<Optimizer> optimizer_;
};

}  // namespace sambay
