#include "text/jinja/template.h"

#include "base/error.h"
#include "text/jinja/parser.h"
#include "text/jinja/render.h"

namespace sambay::jinja {

Template::Template(std::string_view source, std::string tag) : tag_(std::move(tag)) {
  try {
    body_ = parse(source);
  } catch (const Fault& fault) {
    fail(fmt::format("{}: line {}", tag_, std::max(fault.line, 1)), "{}", fault.what());
  }
}

std::string Template::render(const Json& variables, const RenderOptions& options) const {
  check(variables.is_object(), "a template's variables have names");
  Render render(options.limits, options.now.value_or(std::time(nullptr)));
  try {
    for (const auto& [name, value] : variables.items()) {
      render.assign(name, Value::from_json(value));
    }
    render.run(body_);
  } catch (const Fault& fault) {
    fail(fmt::format("{}: line {}", tag_, render.line), "{}", fault.what());
  }
  return std::move(render.output);
}

}  // namespace sambay::jinja
