#include "perf/training.h"

#include "base/rng.h"
#include "train/trainer.h"

namespace sambay {
namespace {

TokenBatch random_batch(int64_t rows, int64_t row_length, int64_t vocabulary) {
  Rng rng(1, "bench");
  TokenBatch batch;
  for (int64_t row = 0; row < rows; ++row) {
    batch.segments.add(row_length);
  }
  for (int64_t i = 0; i < rows * row_length; ++i) {
    batch.ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary))));
  }
  batch.targets.assign(batch.ids.begin() + 1, batch.ids.end());
  batch.targets.push_back(-1);
  return batch;
}

}  // namespace

TrainingSpeed measure_training(const ModelConfig& config, const Precision& precision, int64_t rows,
                               int64_t row_length, const PerfOptions& options,
                               CeilingWatch& ceilings) {
  Recipe recipe;
  recipe.model = config;
  recipe.data.row_length = row_length;
  recipe.data.rows = rows;
  recipe.batch_tokens = rows * row_length;
  recipe.steps = 1 << 20;
  recipe.optimizer.learning_rate = 1e-4;
  recipe.schedule.total = static_cast<double>(recipe.steps * recipe.batch_tokens);
  recipe.precision = precision;

  Arena arena;
  Trainer trainer(recipe, arena);
  const TokenBatch batch = random_batch(rows, row_length, config.vocab_size);
  TrainingSpeed speed{
      .tokens = recipe.batch_tokens, .row_length = row_length, .step = {}, .cost = {}};
  ceilings.sample();
  speed.step = time_runs(options.seconds, [&] { speed.cost = trainer.step({&batch, 1}).cost; });
  speed.peak_bytes = arena.peak_bytes();
  ceilings.sample();
  return speed;
}

}  // namespace sambay
