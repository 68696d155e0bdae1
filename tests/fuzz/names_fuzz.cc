// Any text is a path, or a model's name on the Hub that reads as it is written and whose every part
// may be a folder here; percent-encoded it is plain ASCII.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "hub/names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool keep_slashes : {false, true}) {
    const auto encoded = hub::url_encoded(text, keep_slashes);
    check(std::ranges::all_of(encoded, [](char c) { return c > ' ' && c < '\x7f' && c != '?'; }),
          "what is encoded may stand in an address");
    check(keep_slashes || encoded.find('/') == encoded.npos, "a slash is encoded");
  }
  if (const auto name = hub::parse_model_name(text)) {
    const auto again = hub::parse_model_name(name->text());
    check(again && again->text() == name->text() && again->revision == name->revision,
          "a name reads as it is written");
    for (const auto& part : {name->org, name->name, name->revision}) {
      check(hub::is_safe_path(part), "a part of a name stays below its folder");
    }
  }
  return 0;
}
