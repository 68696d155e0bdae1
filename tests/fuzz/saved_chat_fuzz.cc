// Bytes as what a saved chat says of itself in JSON: a one-line Error, or a chat that reads back as
// it is written.
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "engine/saved_chat.h"
#include "formats/safetensors.h"
#include "support/temp_dir.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  static const testing::TempDir folder;
  const auto path = folder / "chat", again = folder / "again";
  const std::string json = utf8_lossy({reinterpret_cast<const char*>(data), size});
  const std::vector<int32_t> ids = {1, 2, 3};
  const std::vector<uint8_t> state(5);
  write_safetensors(
      path,
      {{"ids", Tensor::from<int32_t>(ids, {3})}, {"state", Tensor::from<uint8_t>(state, {5})}},
      {{"chat", json}});
  try {
    write_chat(again, read_chat(path));
    const std::string once = read_text(again);
    write_chat(again, read_chat(again));
    check(read_text(again) == once, "a saved chat is written as it was read");
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
