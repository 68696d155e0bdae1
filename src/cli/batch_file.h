// A batch of token ids on disk: safetensors with ids, segment_begin and, for losses, targets.
#pragma once

#include <filesystem>
#include <vector>

#include "ops/segments.h"

namespace sambay::cli {

struct BatchFile {
  std::vector<int32_t> ids;      // (T)
  Segments segments;             // segment_begin: first row of each document, then T
  std::vector<int32_t> targets;  // (T), -1 where there is none; empty if not asked for
};

// Throws Error naming the file and the tensor.
BatchFile read_batch(const std::filesystem::path& path, bool with_targets);

}  // namespace sambay::cli
