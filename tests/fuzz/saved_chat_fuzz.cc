// What a saved chat says of itself in JSON: a one-line Error, or a chat that is written back as it
// was read.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json_fields.h"
#include "engine/saved_chat.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  const auto read = [](std::string_view text) {
    return SavedChat::from_json(parse_json(text, "fuzz"), "fuzz");
  };
  try {
    const auto once = read({reinterpret_cast<const char*>(data), size}).to_json().dump();
    check(read(once).to_json().dump() == once, "a saved chat is written as it was read");
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
