// Any published config gives a decoder whose every parameter is in a stored tensor, or an Error,
// and what was accepted is written back as it was read.
#include <cstdint>
#include <string_view>

#include "base/json_fields.h"
#include "model/decoder.h"
#include "model/phi4flash.h"

namespace {

using namespace sambay;

// More layers are more of the same, and only take time.
bool is_deep(const nlohmann::json& json) {
  constexpr int most = 16, refused = 4097;
  const auto layers = json.is_object() ? json.value("num_hidden_layers", nlohmann::json()) : json;
  return layers.is_number_integer() && layers > most && layers < refused;
}

void check_config(const nlohmann::json& json) {
  const auto config = phi4flash::read_config(json, "fuzz");
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto json = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!is_deep(json)) {
      check_config(json);
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
