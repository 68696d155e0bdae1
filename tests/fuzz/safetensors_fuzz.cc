// Whatever the bytes: an Error or tensors whose every byte can be read.
#include <cstdint>
#include <numeric>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"
#include "support/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const sambay::testing::TempDir folder;
  const auto path = folder / "fuzz.safetensors";
  sambay::write_atomically(path, std::as_bytes(std::span(data, size)));
  try {
    const auto file = sambay::Safetensors::open(path);
    for (const auto& name : file.names()) {
      const auto tensor = file.get(name);
      const std::span bytes(static_cast<const uint8_t*>(tensor.raw()), tensor.bytes());
      volatile const auto sum = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
      static_cast<void>(sum);
    }
  } catch (const sambay::Error&) {
    return 0;
  }
  return 0;
}
