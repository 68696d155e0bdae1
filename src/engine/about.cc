#include "engine/about.h"

#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {

About About::load(const std::filesystem::path& folder) {
  const auto file = folder / "chat.json";
  if (!std::filesystem::exists(file)) {
    return {};
  }
  return parse(read_text(file), file.string());
}

About About::parse(std::string_view text, const std::string& where) {
  const auto json = parse_json(text, where);
  JsonFields fields(json, where);
  About result;
  result.about = fields.required<std::string>("about");
  result.multi_turn = fields.required<bool>("multi_turn");
  const auto& examples = fields.raw("examples");
  if (!examples.is_array()) {
    fail(where, "examples: expected a list of texts");
  }
  for (const auto& example : examples) {
    if (!example.is_string()) {
      fail(where, "examples: {} is not a text", example.dump().substr(0, 60));
    }
    result.examples.push_back(example.get<std::string>());
  }
  if (fields.has("thinking")) {
    const auto& marks = fields.raw("thinking");
    const auto is_mark = [](const auto& mark) { return mark.is_string() && mark != ""; };
    if (!marks.is_array() || marks.size() != 2 || !is_mark(marks[0]) || !is_mark(marks[1])) {
      fail(where, "thinking: expected two texts, where it begins and where it ends");
    }
    result.thinking = {marks[0].get<std::string>(), marks[1].get<std::string>()};
  }
  fields.no_others();
  return result;
}

}  // namespace sambay
