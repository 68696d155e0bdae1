// Any index of shards gives tensors whose every byte can be read, or an Error.
#include <cstdint>
#include <numeric>
#include <span>

#include "base/json_fields.h"
#include "formats/weight_files.h"
#include "support/temp_dir.h"

namespace {

using namespace sambay;

Safetensors shard_of(const std::vector<std::string>& names) {
  static const testing::TempDir folder;
  std::vector<NamedTensor> tensors;
  for (const auto& name : names) {
    tensors.push_back({name, Tensor::zeros({4}, DType::f32)});
  }
  write_safetensors(folder / "shard", tensors);
  return Safetensors::open(folder / "shard");
}

std::optional<Safetensors> open_shard(const std::string& name) {
  static const Safetensors first = shard_of({"a", "b"}), second = shard_of({"c"});
  return name == "1.safetensors"   ? std::optional(first)
         : name == "2.safetensors" ? std::optional(second)
                                   : std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto index = WeightIndex::parse(parse_json(text, "fuzz"), "fuzz");
    const auto files = WeightFiles::gather(index, "fuzz", open_shard);
    check(files.names().size() == index.file_of.size(), "every tensor of the index is there");
    for (const auto& name : files.names()) {
      const Tensor tensor = files.view(name);
      const std::span bytes(static_cast<const uint8_t*>(tensor.raw()), tensor.bytes());
      volatile const auto sum = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
      static_cast<void>(sum);
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
