// Token shards on disk: documents of tokens, laid end to end, memory-mapped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "formats/safetensors.h"

namespace sambay {

// A shard is one safetensors file: `tokens` (N) I32, `documents` (M + 1) I64 offsets of the
// documents, ascending from 0 to N, and optionally `targets_from` (M) I32: the loss of a document
// counts only targets at and after this token (a problem's question is not learnt). Metadata
// `tokenizer`: its fingerprint.
class Shard {
 public:
  // Throws Error naming file and fault; an empty shard is a fault.
  static Shard open(const std::filesystem::path& file);
  // The same of an open file.
  static Shard parse(const Safetensors& file);

  int64_t documents() const;
  int64_t tokens() const;
  std::span<const int32_t> document(int64_t index) const;
  int32_t targets_from(int64_t index) const;  // 0 if the shard has none

 private:
  struct File;
  std::shared_ptr<const File> file_;
};

// Collects documents and writes a shard atomically.
class ShardWriter {
 public:
  void add(std::span<const int32_t> tokens, int32_t targets_from = 0);
  int64_t documents() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  int64_t tokens() const { return static_cast<int64_t>(tokens_.size()); }
  void write(const std::filesystem::path& file, const std::string& tokenizer) const;

 private:
  std::vector<int32_t> tokens_;
  std::vector<int64_t> offsets_ = {0};
  std::vector<int32_t> targets_from_;
};

}  // namespace sambay
