#include "base/json_fields.h"

namespace sambay {

JsonFields::JsonFields(const nlohmann::json& object, std::string where)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) {
    fail(where_, "expected an object, got {}", object.type_name());
  }
}

int64_t JsonFields::integer(const std::string& field, int64_t low, int64_t high) {
  const auto value = required<int64_t>(field);
  if (value < low || value > high) {
    fail(where_, "{}: {} is not from {} to {}", field, value, low, high);
  }
  return value;
}

const nlohmann::json& JsonFields::raw(const std::string& field) {
  if (!object_->contains(field)) {
    fail(where_, "{}: missing", field);
  }
  read_.insert(field);
  return (*object_)[field];
}

void JsonFields::no_others() const {
  for (const auto& [key, value] : object_->items()) {
    if (!read_.contains(key)) {
      fail(where_, "{}: unknown field", key);
    }
  }
}

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {  // a number beyond all range is no parse_error
    const std::string_view message = e.what();
    const auto colon = message.find("] ");
    fail(where, "not JSON: {}", colon == message.npos ? message : message.substr(colon + 2));
  }
}

}  // namespace sambay
