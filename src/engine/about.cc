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
  if (fields.has("thinking")) {
    const auto& marks = fields.raw("thinking");
    const auto is_mark = [](const auto& mark) { return mark.is_string() && mark != ""; };
    if (!marks.is_array() || marks.size() != 2 || !is_mark(marks[0]) || !is_mark(marks[1])) {
      fail(file.string(), "thinking: expected two texts, where it begins and where it ends");
    }
    result.thinking = {marks[0].get<std::string>(), marks[1].get<std::string>()};
  }
  fields.no_others();
  return result;
}

}  // namespace sambay
