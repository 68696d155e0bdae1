#include "cli/batch_file.h"

#include "formats/safetensors.h"

namespace sambay::cli {
namespace {

std::vector<int32_t> integers(const Safetensors& file, const std::string& name) {
  const Tensor tensor = file.get(name);
  if (tensor.dtype() != DType::i32 || tensor.rank() != 1) {
    fail(file.where(), "{}: expected a list of i32, got {} {}", name, sambay::name(tensor.dtype()),
         tensor.shape().text());
  }
  const auto* data = tensor.data<int32_t>();
  return {data, data + tensor.elements()};
}

}  // namespace

BatchFile read_batch(const std::filesystem::path& path, bool with_targets) {
  const auto file = Safetensors::open(path);
  const std::string where = path.string();
  BatchFile batch;
  batch.ids = integers(file, "ids");
  const auto begin = integers(file, "segment_begin");
  const auto rows = static_cast<int64_t>(batch.ids.size());
  if (begin.size() < 2 || begin.front() != 0 || begin.back() != rows) {
    fail(where, "segment_begin: expected first rows from 0 on and {} at the end", rows);
  }
  for (size_t s = 0; s + 1 < begin.size(); ++s) {
    if (begin[s + 1] < begin[s]) {
      fail(where, "segment_begin: {} follows {}", begin[s + 1], begin[s]);
    }
    batch.segments.add(begin[s + 1] - begin[s]);
  }
  if (with_targets) {
    batch.targets = integers(file, "targets");
    if (batch.targets.size() != batch.ids.size()) {
      fail(where, "targets: expected {}, got {}", rows, batch.targets.size());
    }
  }
  return batch;
}

}  // namespace sambay::cli
