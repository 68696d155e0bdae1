// A template, a zero byte, and its variables as JSON. Either it renders within its limits, as
// UTF-8, and twice the same, or one Error says why not.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/jinja/template.h"
#include "text/utf8.h"

namespace {

using namespace sambay;
using jinja::Json;

constexpr size_t output_limit = 1 << 16;

std::optional<std::string> rendered(const jinja::Template& made, const Json& variables) {
  jinja::RenderOptions options{
      .limits = {.steps = 100'000, .output_bytes = output_limit, .depth = 300}, .now = 0};
  try {
    return made.render(variables, options);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.find('\0');
  Json variables = Json::object();
  if (end != text.npos) {
    variables = Json::parse(text.substr(end + 1), nullptr, false);
    if (!variables.is_object()) {
      return 0;
    }
  }
  try {
    const jinja::Template made(text.substr(0, end), "template");
    const auto once = rendered(made, variables);
    if (once) {
      check(once->size() <= output_limit, "the output is within its limit");
      check(utf8_valid_prefix(*once) == once->size(), "a rendered template is UTF-8");
    }
    check(rendered(made, variables) == once, "a template renders the same again");
  } catch (const Error&) {  // no template
  }
  return 0;
}
