// The weights of a model folder: one safetensors file, or shards that an index lists.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "formats/safetensors.h"

namespace sambay {

inline constexpr const char* weights_file = "model.safetensors";
inline constexpr const char* weights_index_file = "model.safetensors.index.json";

// Which file holds each tensor, as model.safetensors.index.json says it under "weight_map".
struct WeightIndex {
  std::map<std::string, std::string> file_of;

  // Throws Error with `where` and the tensor if a file is not named by a plain file name.
  static WeightIndex parse(const nlohmann::json& json, const std::string& where);
};

class WeightFiles {
 public:
  // model.safetensors if the folder has one, else the shards of the index. Throws Error as
  // Safetensors::open does, and naming file and tensor where the index and the shards disagree: a
  // shard that does not exist, a tensor missing, in another shard or in none of the index.
  static WeightFiles open(const std::filesystem::path& folder);
  // The shards of an index. `open_shard` gives the one of this name, nothing if there is none;
  // `where` stands for the index in errors.
  using OpenShard = std::function<std::optional<Safetensors>(const std::string& file)>;
  static WeightFiles gather(const WeightIndex& index, std::string where,
                            const OpenShard& open_shard);

  std::vector<std::string> names() const;
  // As Safetensors::view.
  Tensor view(const std::string& name) const;
  // Of the file that holds the tensor, which must be there.
  const std::map<std::string, std::string>& metadata(const std::string& name) const;
  // The file that holds the tensor, or that should have said which does.
  std::string where(const std::string& name) const;

 private:
  std::string source_;  // the single file or the index
  std::vector<Safetensors> files_;
  std::map<std::string, size_t> file_of_;
};

// Writes the tensors in their order into a folder: into model.safetensors if they take no more than
// `shard_bytes` (0: no limit), else into shards of at most that much, or of one tensor, and their
// index. Returns how many files hold weights.
size_t write_weights(const std::filesystem::path& folder, std::span<const TensorSource> tensors,
                     const std::map<std::string, std::string>& metadata, uint64_t shard_bytes);

}  // namespace sambay
