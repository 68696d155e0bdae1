// The layouts in which model folders are read and written: our own and those of published models.
// What a folder's layout is, its config.json says; nobody else need know.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/config.h"
#include "nn/param.h"

namespace sambay {

// A tensor of a folder: parameters, or their first rows, one below the other.
struct StoredTensor {
  struct Part {
    std::string param;  // empty: rows that no parameter takes
    int64_t rows = 0;   // fewer than the parameter has: nothing reads the rest
  };
  std::string name;
  Shape shape;
  std::vector<Part> parts;
  // Of a quantized matrix (docs/quantization.md), which is a tensor of its own; else 0. `shape` is
  // then that of its blocks, and so are the rows of its part.
  int bits = 0;
};

// What published configs say beside the architecture.
struct ConfigNotes {
  DType dtype = DType::f32;  // of the matrices
  nlohmann::json token_ids;  // bos_token_id, eos_token_id, pad_token_id, as far as known
};

struct ModelLayout {
  const char* name;           // of --to
  const char* model_type;     // of config.json; empty: ours, which has none
  const char* tensor_format;  // "format" in the metadata of weight files

  // Throws Error with `where` and the field.
  ModelConfig (*read_config)(const nlohmann::json& json, const std::string& where);
  // Throws Error naming the field that this layout cannot express.
  nlohmann::json (*write_config)(const ModelConfig& config, const ConfigNotes& notes);
  // Each parameter of the store is in one of them.
  std::vector<StoredTensor> (*tensors)(const ModelConfig& config, const ParamStore& params);
};

// Throws Error with `where` if config.json is of a model type that is not known.
const ModelLayout& layout_of(const nlohmann::json& config, const std::string& where);
// Throws Error if the name is not one of layout_names().
const ModelLayout& layout_named(const std::string& name);
std::vector<std::string> layout_names();

// The shape of a matrix and its bits, as the metadata of a file says them: "int4 (1536, 192)".
std::string quantization_note(const Param& param, int bits);

// The weights of a folder where they are mapped.
struct StoredWeights {
  std::unordered_map<std::string, Tensor> params;  // by parameter; maybe fewer rows than it has
  // Rows that no parameter takes, by the name of their tensor.
  std::map<std::string, Tensor> unused;
};

// Throws Error naming file and tensor: missing, unexpected, wrong shape, not floating-point or not
// quantized as the config says.
StoredWeights open_weights(const std::filesystem::path& folder, const ModelLayout& layout,
                           const ModelConfig& config, const ParamStore& params);

}  // namespace sambay
