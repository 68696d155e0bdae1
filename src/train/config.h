// A training run as data: a recipe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/exec.h"
#include "data/loader.h"
#include "model/config.h"
#include "train/parametrization.h"
#include "train/schedule.h"

namespace sambay {

struct DataRecipe {
  std::vector<MixtureSource> sources;
  int64_t row_length = 0;
  int64_t rows = 0;  // of a micro batch
  bool whole_documents = false;
  std::filesystem::path validation;  // a shard; empty: none
  int64_t validation_rows = 0;       // of row_length tokens, the same ones each time
};

struct OptimizerRecipe {
  double learning_rate = 0;  // eta0, of the base depth and the base batch
  int64_t base_depth = 16;
  double base_batch_tokens = 0;  // 0: the rate is not scaled with the batch
  double weight_decay = 0;
  bool independent_decay = false;  // the decay of a step does not contain the learning rate
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double clip = 1;  // bound of the global gradient norm; 0: none
};

// docs/recipes.md explains every key. Files are relative to the recipe's folder.
struct Recipe {
  ModelConfig model;
  std::filesystem::path tokenizer;  // copied beside the finished model; empty: none
  DataRecipe data;
  int64_t batch_tokens = 0;  // of an optimiser step: a multiple of rows * row_length
  int64_t steps = 0;
  OptimizerRecipe optimizer;
  Schedule schedule;  // in tokens
  float label_smoothing = 0;
  Precision precision;
  bool recompute_layers = false;
  uint64_t seed = 0;
  int64_t checkpoint_every = 0, validate_every = 0;  // steps; 0: at the end only
  int64_t keep = 0;                                  // checkpoints on disk
  nlohmann::json source;                             // as read, for the checkpoint

  int64_t micro_batches() const { return batch_tokens / (data.rows * data.row_length); }
  LearningRateScaling scaling() const;

  // Throw Error naming the file and the field: unknown, missing, of a wrong type or out of range.
  static Recipe from_json(const nlohmann::json& json, const std::filesystem::path& folder,
                          const std::string& where);
  static Recipe load(const std::filesystem::path& file);
};

}  // namespace sambay
