#include "formats/json_field.h"

namespace sambay {

using Json = nlohmann::json;

JsonField JsonField::operator[](std::string_view key) const {
  static const Json nothing;
  const auto found = object().find(key);
  return {found == value_->end() ? nothing : *found, *this, key};
}

const Json& JsonField::object() const {
  if (!value_->is_object()) {
    fail_here("expected an object, got {}", shown());
  }
  return *value_;
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) {
    fail_here("expected a string, got {}", shown());
  }
  return value_->get_ref<const std::string&>();
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) {
    fail_here("expected true or false, got {}", shown());
  }
  return value_->get<bool>();
}

void JsonField::expect_type(std::string_view wanted) const {
  const JsonField type = (*this)["type"];
  if (type.string() != wanted) {
    type.fail_here("expected \"{}\", got {}", wanted, type.shown());
  }
}

std::string JsonField::shown() const {
  constexpr size_t longest = 60;
  if (value_->is_structured()) {
    return value_->is_array() ? "a list" : "an object";
  }
  const std::string text = value_->dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= longest ? text : text.substr(0, longest) + "...";
}

std::string JsonField::path() const {
  if (parent_ == nullptr) {
    return std::string(key_);
  }
  if (key_.data() == nullptr) {
    return fmt::format("{}[{}]", parent_->path(), index_);
  }
  return fmt::format("{}{}{}", parent_->path(), parent_->parent_ == nullptr ? ": " : ".", key_);
}

}  // namespace sambay
