#include "engine/about.h"

#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {

About About::load(const std::filesystem::path& folder) {
  const auto file = folder / "chat.json";
  if (!std::filesystem::exists(file)) {
    return {};
  }
  const auto json = parse_json(read_text(file), file.string());
  JsonFields fields(json, file.string());
  About result;
  result.about = fields.required<std::string>("about");
  result.multi_turn = fields.required<bool>("multi_turn");
  const auto& examples = fields.raw("examples");
  if (!examples.is_array()) {
    fail(file.string(), "examples: expected a list of texts");
  }
  for (const auto& example : examples) {
    if (!example.is_string()) {
      fail(file.string(), "examples: {} is not a text", example.dump().substr(0, 60));
    }
    result.examples.push_back(example.get<std::string>());
  }
  fields.no_others();
  return result;
}

}  // namespace sambay
