#include "formats/weight_files.h"

#include "base/error.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

// A name that cannot lead out of the folder.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

bool is_there(const fs::path& file) {
  std::error_code error;
  return fs::exists(file, error);
}

// Consecutive tensors, each group of at most `most` bytes or of one tensor.
std::vector<std::span<const TensorSource>> grouped(std::span<const TensorSource> tensors,
                                                   uint64_t most) {
  std::vector<std::span<const TensorSource>> groups;
  size_t begin = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i > begin && most > 0 && bytes + tensors[i].bytes() > most) {
      groups.push_back(tensors.subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += tensors[i].bytes();
  }
  groups.push_back(tensors.subspan(begin));
  return groups;
}

}  // namespace

WeightIndex WeightIndex::parse(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  const auto& map = fields.raw("weight_map");
  JsonFields names(map, where + ": weight_map");
  WeightIndex index;
  for (const auto& [tensor, value] : map.items()) {
    const auto file = names.required<std::string>(tensor);
    if (!is_plain_file_name(file)) {
      fail(where, "{}: \"{}\" is not the name of a file in this folder", tensor, file);
    }
    index.file_of.emplace(tensor, file);
  }
  return index;
}

WeightFiles WeightFiles::open(const fs::path& folder) {
  const fs::path single = folder / weights_file, index = folder / weights_index_file;
  if (is_there(single) || !is_there(index)) {
    WeightFiles out;
    out.source_ = single.string();
    out.files_.push_back(Safetensors::open(single));
    for (const auto& name : out.files_[0].names()) {
      out.file_of_.emplace(name, 0);
    }
    return out;
  }
  const auto open_shard = [&](const std::string& file) -> std::optional<Safetensors> {
    return is_there(folder / file) ? std::optional(Safetensors::open(folder / file)) : std::nullopt;
  };
  return gather(WeightIndex::parse(read_json(index), index.string()), index.string(), open_shard);
}

WeightFiles WeightFiles::gather(const WeightIndex& index, std::string where,
                                const OpenShard& open_shard) {
  WeightFiles out;
  out.source_ = std::move(where);
  std::map<std::string, size_t> shards;
  for (const auto& [tensor, file] : index.file_of) {
    if (!shards.emplace(file, out.files_.size()).second) {
      continue;
    }
    const auto shard = open_shard(file);
    if (!shard) {
      fail(out.source_, "{}: in {}, which does not exist", tensor, file);
    }
    for (const auto& name : shard->names()) {
      const auto named = index.file_of.find(name);
      if (named == index.file_of.end()) {
        fail(shard->where(), "{}: is not in {}", name, weights_index_file);
      }
      if (named->second != file) {
        fail(out.source_, "{}: in {}, but {} holds it", name, named->second, file);
      }
      out.file_of_.emplace(name, out.files_.size());
    }
    out.files_.push_back(*shard);
  }
  for (const auto& [tensor, file] : index.file_of) {
    if (!out.file_of_.contains(tensor)) {
      fail(out.files_[shards.at(file)].where(), "{}: no such tensor, though {} says so", tensor,
           weights_index_file);
    }
  }
  return out;
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) {
    names.push_back(name);
  }
  return names;
}

Tensor WeightFiles::view(const std::string& name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) {
    fail(source_, "{}: no such tensor", name);
  }
  return files_[found->second].view(name);
}

const std::map<std::string, std::string>& WeightFiles::metadata(const std::string& name) const {
  return files_[file_of_.at(name)].metadata();
}

std::string WeightFiles::where(const std::string& name) const {
  const auto found = file_of_.find(name);
  return found == file_of_.end() ? source_ : files_[found->second].where();
}

size_t write_weights(const fs::path& folder, std::span<const TensorSource> tensors,
                     const std::map<std::string, std::string>& metadata, uint64_t shard_bytes) {
  const auto groups = grouped(tensors, shard_bytes);
  if (groups.size() == 1) {
    stream_safetensors(folder / weights_file, tensors, metadata);
    return 1;
  }
  nlohmann::json map = nlohmann::json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, groups.size());
    stream_safetensors(folder / file, groups[i], metadata);
    for (const auto& tensor : groups[i]) {
      map[tensor.name] = file;
      total += tensor.bytes();
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_atomically(folder / weights_index_file, index.dump(2) + "\n");
  return groups.size();
}

}  // namespace sambay
