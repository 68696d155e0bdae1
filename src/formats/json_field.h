// A value in a JSON file that knows the way to it, for errors: "[file: model.merges[3]] ...".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace sambay {

// Must not outlive the field it came from.
class JsonField {
 public:
  JsonField(const nlohmann::json& root, std::string_view file) : value_(&root), key_(file) {}
  JsonField(const nlohmann::json& value, const JsonField& parent, std::string_view key)
      : value_(&value), parent_(&parent), key_(key) {}
  JsonField(const nlohmann::json& value, const JsonField& parent, size_t index)
      : value_(&value), parent_(&parent), index_(index) {}

  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail(path(), format, std::forward<Args>(args)...);
  }

  // A missing key reads as null.
  JsonField operator[](std::string_view key) const;
  JsonField at(size_t index) const { return {(*value_)[index], *this, index}; }
  template <class Each>
  void for_each(Each each) const {
    if (!value_->is_array()) {
      fail_here("expected a list, got {}", shown());
    }
    for (size_t i = 0; i < value_->size(); ++i) {
      each(at(i));
    }
  }

  const nlohmann::json& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }
  bool is_string() const { return value_->is_string(); }
  bool is_array() const { return value_->is_array(); }
  size_t size() const { return value_->size(); }

  // Throw Error if it is something else.
  const nlohmann::json& object() const;
  const std::string& string() const;
  bool boolean() const;
  bool boolean(bool if_missing) const { return is_null() ? if_missing : boolean(); }
  void expect_type(std::string_view wanted) const;  // of an object, its "type"

  // The value, cut to what fits in a line.
  std::string shown() const;

 private:
  std::string path() const;

  const nlohmann::json* value_;
  const JsonField* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = 0;
};

}  // namespace sambay
