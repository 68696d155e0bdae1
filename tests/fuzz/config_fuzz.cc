// Any config.json gives a decoder or an Error, and what was accepted is written back as it was
// read.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json_fields.h"
#include "model/decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto config = ModelConfig::from_json(parse_json(text, "fuzz"), "fuzz");
    const auto written = config.to_json().dump();
    const auto again = ModelConfig::from_json(parse_json(written, "written"), "written");
    check(again.to_json().dump() == written, "a config survives writing and reading");
    const Decoder decoder(config);
    check(decoder.params().elements() > 0, "a decoder has parameters");
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
