// A published config, a zero byte, an index of shards. Any config gives a decoder whose every
// parameter is in a stored tensor, or an Error, and what was accepted is written back as it was
// read; any index gives tensors whose every byte can be read, or an Error.
#include <cstdint>
#include <fstream>
#include <numeric>
#include <span>

#include "base/json_fields.h"
#include "formats/weight_files.h"
#include "model/decoder.h"
#include "model/phi4flash.h"
#include "support/temp_dir.h"

namespace {

using namespace sambay;

void check_config(std::string_view text) {
  const auto config = phi4flash::read_config(parse_json(text, "fuzz"), "fuzz");
  const auto written = phi4flash::write_config(config, {}).dump();
  const auto again = phi4flash::read_config(parse_json(written, "written"), "written");
  check(again.to_json() == config.to_json(), "a config survives writing and reading");
  const Decoder decoder(config);
  size_t parts = 0;
  for (const auto& tensor : phi4flash::tensors(config, decoder.params())) {
    for (const auto& part : tensor.parts) {
      parts += part.param.empty() ? 0 : 1;
    }
  }
  check(parts == decoder.params().all().size(), "each parameter is stored once");
}

// Two shards, a and b in the first and c in the second, stay as they are.
void check_index(std::string_view text) {
  static const testing::TempDir folder;
  static const bool made = [] {
    const Tensor tensor = Tensor::zeros({4}, DType::f32);
    write_safetensors(folder / "1.safetensors", {{"a", tensor}, {"b", tensor}});
    write_safetensors(folder / "2.safetensors", {{"c", tensor}});
    return true;
  }();
  static_cast<void>(made);
  std::ofstream(folder / weights_index_file, std::ios::binary) << text;
  const auto files = WeightFiles::open(folder.path());
  for (const auto& name : files.names()) {
    const Tensor tensor = files.view(name);
    const std::span bytes(static_cast<const uint8_t*>(tensor.raw()), tensor.bytes());
    volatile const auto sum = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
    static_cast<void>(sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = std::min(text.find('\0'), text.size());
  try {
    check_config(text.substr(0, end));
  } catch (const Error&) {
    static_cast<void>(0);
  }
  try {
    check_index(end < size ? text.substr(end + 1) : std::string_view());
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
