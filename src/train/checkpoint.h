// Checkpoints: folders that appear whole or not at all, newest last.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "train/optimizer.h"

namespace sambay {

// Where a run stands, beside its tensors. Nothing else is random: the loader's order and the
// initial weights are functions of the recipe's seed.
struct TrainState {
  int64_t step = 0;    // optimiser steps done
  int64_t tokens = 0;  // read so far
  nlohmann::json data_position;
  nlohmann::json recipe;

  // state.json of a checkpoint. Throws Error with `where` and the field.
  nlohmann::json to_json() const;
  static TrainState from_json(const nlohmann::json& json, const std::string& where);

  bool operator==(const TrainState&) const = default;
};

struct Checkpoint {
  std::filesystem::path folder;  // step-000000001234
  TrainState state;
};

// Writes folder/step-N: model.safetensors (masters), optimizer.safetensors (moments), state.json;
// all of it is on the disk before the folder takes its name, so that a kill at any instant leaves
// the older ones and perhaps this one. Then removes all but the newest `keep`. Throws Error (a full
// disk...) and leaves the older ones as they were.
void save_checkpoint(const std::filesystem::path& folder, const TrainState& state,
                     const Optimizer& optimizer, int64_t keep);

// The newest complete one; damaged ones are passed over with a warning. None if there is none.
std::optional<Checkpoint> latest_checkpoint(const std::filesystem::path& folder);

// Copies the tensors in. Throws Error naming the file and the tensor.
void load_checkpoint(const Checkpoint& checkpoint, Optimizer& optimizer);

}  // namespace sambay
