// Reading JSON objects strictly: every key is known, present and of its type.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/error.h"

namespace sambay {

// Reads the fields of one object and remembers which were read. Errors name `where` and the field.
class JsonFields {
 public:
  // Throws Error if `object` is not an object.
  JsonFields(const nlohmann::json& object, std::string where);

  // Throws Error if the field is missing or has another type. Integers must be integers.
  template <class T>
  T required(const std::string& field) {
    if (!object_->contains(field)) {
      fail(where_, "{}: missing", field);
    }
    return convert<T>(field);
  }
  template <class T>
  T optional(const std::string& field, T otherwise) {
    return object_->contains(field) ? convert<T>(field) : otherwise;
  }
  // The same with bounds, for sizes.
  int64_t integer(const std::string& field, int64_t low, int64_t high);
  const nlohmann::json& raw(const std::string& field);
  bool has(const std::string& field) const { return object_->contains(field); }
  const std::string& where() const { return where_; }

  // Throws Error naming the first field that nobody asked for.
  void no_others() const;

 private:
  template <class T>
  T convert(const std::string& field);

  const nlohmann::json* object_;
  std::string where_;
  std::set<std::string> read_;
};

// Parses a JSON text; an Error names `where`, line and column. Refuses texts that nest deeper than
// any format does: whoever walks such a value would run out of stack.
nlohmann::json parse_json(std::string_view text, const std::string& where);
// The same of a regular file of at most 50 MB.
nlohmann::json read_json(const std::filesystem::path& file);

template <class T>
T JsonFields::convert(const std::string& field) {
  read_.insert(field);
  const auto& value = (*object_)[field];
  bool fits = true;
  if constexpr (std::is_same_v<T, bool>) {
    fits = value.is_boolean();
  } else if constexpr (std::is_integral_v<T>) {
    fits = value.is_number_integer();
  } else if constexpr (std::is_floating_point_v<T>) {
    fits = value.is_number();
  } else if constexpr (std::is_same_v<T, std::string>) {
    fits = value.is_string();
  }
  if (!fits) {
    fail(where_, "{}: {} has the wrong type ({})", field, value.dump().substr(0, 60),
         value.type_name());
  }
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception&) {
    fail(where_, "{}: {} has the wrong type", field, value.dump().substr(0, 60));
  }
}

}  // namespace sambay
