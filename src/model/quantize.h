// Model folders with weights in 8 or 4 bits (docs/quantization.md).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ops/quantized_matrix.h"

namespace sambay {

struct QuantizedTensor {
  std::string name;
  Shape shape;
  int bits = 0;
  ops::QuantizationError error;
};

struct QuantizeReport {
  std::string name;
  int64_t parameters = 0;
  std::vector<QuantizedTensor> tensors;  // those that were quantized, in the order of the model
  ops::QuantizationError error;          // over all of them
  uint64_t bytes_before = 0, bytes_after = 0;  // of all weights
};

// Reads the folder `from`, of any layout, and makes `to` in ours, whole or not at all: config,
// weights, tokenizer, chat template, sampling defaults. Weights pass through little memory; what is
// not quantized keeps its bits. `progress` gets how many of the parameters are done. Throws Error
// naming file and tensor; also if `from` is quantized already.
QuantizeReport quantize_model(const std::filesystem::path& from, const std::filesystem::path& to,
                              int bits,
                              const std::function<void(int64_t parameters)>& progress = {});

}  // namespace sambay
