// A run small enough for a test: a model of four layers and a pattern to learn.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "data/shards.h"
#include "model/config.h"
#include "support/temp_dir.h"
#include "train/config.h"
#include "train/trainer.h"

namespace sambay::testing {

inline constexpr int32_t pattern_vocabulary = 64;

// Documents that count upwards from different starts, by 1 or by 3: learnable from one token back
// and, for the step, from two.
inline void write_pattern_shard(const std::filesystem::path& file, int documents) {
  ShardWriter writer;
  for (int d = 0; d < documents; ++d) {
    std::vector<int32_t> tokens;
    for (int t = 0; t < 10 + d % 7; ++t) {
      tokens.push_back((5 * d + t * (1 + 2 * (d % 2))) % pattern_vocabulary);
    }
    writer.add(tokens);
  }
  writer.write(file, "none");
}

inline nlohmann::json tiny_recipe_json() {
  return nlohmann::json::parse(R"({
    "model": {"preset": "sambay", "depth": 4, "width": 32, "heads": 2, "kv_heads": 1,
              "head_dim": 16, "mlp_width": 64, "vocab_size": 64, "window": 8,
              "training_length": 32},
    "tokenizer": "",
    "data": {"sources": [{"shard": "train.safetensors", "weight": 1}], "row_length": 24, "rows": 2,
             "whole_documents": false, "validation": "train.safetensors", "validation_rows": 3},
    "batch_tokens": 96,
    "steps": 6,
    "optimizer": {"learning_rate": 0.01, "base_depth": 4, "base_batch_tokens": 0,
                  "weight_decay": 0.1, "independent_decay": false, "betas": [0.9, 0.95],
                  "epsilon": 1e-8, "clip": 1},
    "schedule": {"unit": "steps", "decay": "linear", "warmup": 2, "floor": 0},
    "label_smoothing": 0,
    "precision": "f32",
    "recompute_layers": false,
    "seed": 3,
    "checkpoint_every": 2,
    "validate_every": 3,
    "keep": 2
  })");
}

// A folder with a shard, and recipes that read it.
class RunFolder {
 public:
  RunFolder() { write_pattern_shard(folder_ / "train.safetensors", 40); }

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  Recipe recipe(const nlohmann::json& patch = nlohmann::json::object()) const {
    nlohmann::json json = tiny_recipe_json();
    json.merge_patch(patch);
    return Recipe::from_json(json, folder_.path(), "recipe.json");
  }

 private:
  TempDir folder_;
};

inline std::vector<TokenBatch> next_step(BatchLoader& loader, const Recipe& recipe) {
  std::vector<TokenBatch> batches;
  for (int64_t i = 0; i < recipe.micro_batches(); ++i) {
    batches.push_back(loader.next());
  }
  return batches;
}

inline BatchLoader loader_of(const Recipe& recipe) {
  return {recipe.data.sources, recipe.data.rows, recipe.data.row_length, recipe.seed,
          recipe.data.whole_documents};
}

inline bool same_bits(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].tensor.bytes() != b[i].tensor.bytes() ||
        std::memcmp(a[i].tensor.raw(), b[i].tensor.raw(), a[i].tensor.bytes()) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace sambay::testing
