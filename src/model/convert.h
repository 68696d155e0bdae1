// Model folders from one layout to another.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace sambay {

struct ConvertOptions {
  std::string layout;                 // of the new folder (model/layouts.h)
  std::optional<DType> matrix_dtype;  // f32, bf16 or f16; none: every tensor as it is stored
  uint64_t shard_bytes = 0;           // 0: one file
};

struct ConvertReport {
  std::string name;
  int64_t parameters = 0;
  size_t weight_files = 0;
  uint64_t weight_bytes = 0;
  // Tensors of which rows other than zero have no place in our models, because they have no effect.
  std::vector<std::string> left_out;
};

// Reads the folder `from` and makes `to`, whole or not at all: config, weights, tokenizer, chat
// template, sampling defaults. Weights pass through bit by bit unless another dtype is asked for,
// and through little memory. Throws Error naming file and tensor, or the field that the layout
// cannot express.
ConvertReport convert_model(const std::filesystem::path& from, const std::filesystem::path& to,
                            const ConvertOptions& options);

// Copies what stands beside config and weights of a model folder and is the same in every layout:
// tokenizer, chat template, sampling defaults.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace sambay
