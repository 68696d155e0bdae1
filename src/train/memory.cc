#include "train/memory.h"

#include <algorithm>
#include <filesystem>

#include "train/trainer.h"

namespace sambay {
namespace {

TokenBatch whole_rows(const DataRecipe& data) {
  TokenBatch batch;
  for (int64_t row = 0; row < data.rows; ++row) {
    batch.segments.add(data.row_length);
  }
  batch.ids.assign(static_cast<size_t>(batch.segments.rows()), 0);
  batch.targets = batch.ids;
  return batch;
}

// The first step's batches: how many pieces a row consists of decides how much scratch some ops
// take.
std::vector<TokenBatch> first_step(const Recipe& recipe) {
  const DataRecipe& data = recipe.data;
  std::vector<TokenBatch> step(static_cast<size_t>(recipe.micro_batches()), whole_rows(data));
  const auto there = [](const MixtureSource& source) {
    return std::filesystem::exists(source.shard);
  };
  if (std::all_of(data.sources.begin(), data.sources.end(), there)) {
    BatchLoader loader(data.sources, data.rows, data.row_length, recipe.seed, data.whole_documents);
    std::generate(step.begin(), step.end(), [&] { return loader.next(); });
  }
  return step;
}

size_t bytes_of(const std::vector<NamedTensor>& tensors) {
  size_t total = 0;
  for (const auto& [name, tensor] : tensors) {
    total += tensor.bytes();
  }
  return total;
}

}  // namespace

TrainingForecast forecast_training(const Recipe& recipe) {
  Arena arena(Device::meta);
  Trainer trainer(recipe, arena);
  const std::vector<TokenBatch> step = first_step(recipe);
  TrainingForecast forecast;
  const size_t before = arena.bytes_in_use();
  forecast.step = trainer.step(step).cost;
  if (!recipe.data.validation.empty()) {
    trainer.validate({step.data(), 1});
  }
  forecast.masters = bytes_of(trainer.optimizer().masters());
  forecast.moments = bytes_of(trainer.optimizer().moments());
  for (const Param& param : trainer.decoder().params().all()) {
    forecast.gradients += param.weight.gradient.bytes();
    forecast.weights +=
        param.weight.value.dtype() == recipe.precision.accum ? 0 : param.weight.value.bytes();
  }
  forecast.peak = arena.peak_bytes();
  forecast.activations = forecast.peak - before;
  return forecast;
}

}  // namespace sambay
