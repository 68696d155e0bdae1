// The Hugging Face layout of model type phi4flash, as microsoft/Phi-4-mini-flash-reasoning has it
// (spec section 14; docs/checkpoints.md).
#pragma once

#include "model/layouts.h"

namespace sambay::phi4flash {

// Fields that change the arithmetic are honoured, or refused by name and value; an unknown field is
// refused too, because it might.
ModelConfig read_config(const nlohmann::json& json, const std::string& where);

// Throws Error naming the first field of `config` that phi4flash has otherwise.
nlohmann::json write_config(const ModelConfig& config, const ConfigNotes& notes);

// The biases of keys in Wqkv.bias belong to no parameter: softmax ignores what a query adds to all
// of its scores. Of the embedding only the rows of tokens that exist are stored.
std::vector<StoredTensor> tensors(const ModelConfig& config, const ParamStore& params);

}  // namespace sambay::phi4flash
