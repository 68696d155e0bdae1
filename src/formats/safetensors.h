// safetensors: a length, a JSON header, the bytes. Read where it is mapped, written whole or not at
// all.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "tensor/tensor.h"

namespace sambay {

// An open file. Tensors are views of its bytes and keep them alive.
class Safetensors {
 public:
  // Throws Error naming the file and the fault: truncated, header not JSON or over 100 MB, unknown
  // dtype, shape and byte range that disagree, ranges that overlap or leave the file, holes,
  // duplicate names.
  static Safetensors open(const std::filesystem::path& path);
  // The same of bytes in memory that somebody else owns; `owner`, if given, is kept alive. `where`
  // stands for the file in errors.
  static Safetensors parse(std::span<const std::byte> bytes, std::string where,
                           std::shared_ptr<const void> owner = {});

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const;
  // At a multiple of 64 bytes: where it is in the file, else copied. Throws Error naming file and
  // tensor if it is missing.
  Tensor get(const std::string& name) const;
  // The same where it is in the file, whatever multiple of its elements' size that is: for tensors
  // too large to copy.
  Tensor view(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  // The file, for errors.
  const std::string& where() const;

 private:
  struct File;
  std::shared_ptr<const File> file_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// F64, F32, F16, BF16, I64, I32, U8. Atomic: a reader sees the old file or the whole new one.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

// A tensor that is made while its file is written.
struct TensorSource {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::function<void(FileWriter&)> write;  // all of its bytes, in order

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
};
// As write_safetensors, for more tensors than memory holds.
void stream_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                        const std::map<std::string, std::string>& metadata);

}  // namespace sambay
