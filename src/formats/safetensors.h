// safetensors: a length, a JSON header, the bytes. Read where it is mapped, written whole or not at
// all.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace sambay {

// An open file. Tensors are views of the mapping and keep it alive.
class Safetensors {
 public:
  // Throws Error naming the file and the fault: truncated, header not JSON or over 100 MB, unknown
  // dtype, shape and byte range that disagree, ranges that overlap or leave the file, holes,
  // duplicate names.
  static Safetensors open(const std::filesystem::path& path);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const;
  // Throws Error naming file and tensor if it is missing.
  Tensor get(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  const std::filesystem::path& path() const;

 private:
  struct File;
  std::shared_ptr<const File> file_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// F64, F32, BF16, I64, I32, U8. Atomic: a reader sees the old file or the whole new one.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sambay
