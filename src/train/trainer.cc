#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "model/weights.h"
#include "train/checkpoint.h"

namespace sambay {

Trainer::Trainer(const Recipe& recipe, Arena& arena)
    : recipe_(recipe), arena_(arena), decoder_(recipe.model) {
  const Precision masters{recipe.precision.accum, recipe.precision.accum};
  if (arena.device() == Device::meta) {
    allocate(decoder_, masters, arena);
  } else {
    initialize(decoder_, masters, recipe.seed, arena);
  }
  allocate_gradients(decoder_, recipe.precision, arena);
  optimizer_.emplace(decoder_.params(), recipe, arena);
}

ops::CrossEntropySums Trainer::run(const TokenBatch& batch, const Decoder::LossOptions& options) {
  Exec exec{.arena = &arena_,
            .tape = nullptr,
            .precision = recipe_.precision,
            .recompute_layers = recipe_.recompute_layers};
  const ForwardInput input{
      .ids = batch.ids, .segments = batch.segments, .states = {}, .wanted = {}};
  return decoder_.loss(exec, input, batch.targets, options);
}

Trainer::Report Trainer::step(std::span<const TokenBatch> micro_batches) {
  Report report;
  for (const TokenBatch& batch : micro_batches) {
    report.counted +=
        std::count_if(batch.targets.begin(), batch.targets.end(), [](int32_t t) { return t >= 0; });
  }
  if (report.counted == 0) {
    fail("train", "data: no token of step {} has a target", steps_done() + 1);
  }
  const double share = 1.0 / static_cast<double>(report.counted);
  const Decoder::LossOptions options{.cross_entropy = {.label_smoothing = recipe_.label_smoothing,
                                                       .gradient_scale = static_cast<float>(share)},
                                     .gradients = true};
  const ScopedCostMeter meter(report.cost);
  for (const TokenBatch& batch : micro_batches) {
    report.loss += share * run(batch, options).loss;
  }
  const double middle =
      (static_cast<double>(steps_done()) + 0.5) * static_cast<double>(recipe_.batch_tokens);
  const double multiplier = recipe_.schedule.multiplier(middle);
  report.learning_rate =
      multiplier * scaled_learning_rate(recipe_.optimizer.learning_rate, recipe_.scaling());
  report.gradient_norm =
      std::isfinite(report.loss)
          ? optimizer_->step({.learning_rate = report.learning_rate, .schedule = multiplier})
          : std::nan("");
  return report;
}

double Trainer::validate(std::span<const TokenBatch> batches) {
  double nll = 0;
  int64_t counted = 0;
  for (const TokenBatch& batch : batches) {
    const auto sums = run(batch, {});
    nll += sums.nll;
    counted += sums.counted;
  }
  return nll / static_cast<double>(counted);
}

void Trainer::restore(const Checkpoint& checkpoint) {
  load_checkpoint(checkpoint, *optimizer_);
}

void Trainer::export_model(const std::filesystem::path& folder) {
  save_model(decoder_, folder, recipe_.precision.compute);
}

}  // namespace sambay
