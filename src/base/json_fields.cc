#include "base/json_fields.h"

#include "base/files.h"

namespace sambay {
namespace {

constexpr int max_depth = 100;
// Values take some 20 times the memory of their text. The largest published tokenizer.json has 33
// MB.
constexpr size_t max_file_bytes = 50'000'000;

bool nests_deeper(std::string_view json, int limit) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string) {
      i += c == '\\' ? 1 : 0;
    } else if (c == '[' || c == '{') {
      if (++depth > limit) {
        return true;
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

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
  if (nests_deeper(text, max_depth)) {
    fail(where, "nested deeper than {}", max_depth);
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {  // a number beyond all range is no parse_error
    const std::string_view message = e.what();
    const auto colon = message.find("] ");
    fail(where, "not JSON: {}", colon == message.npos ? message : message.substr(colon + 2));
  }
}

nlohmann::json read_json(const std::filesystem::path& file) {
  const MappedFile map(file);
  if (map.size() > max_file_bytes) {
    fail(file.string(), "{} bytes: expected at most {}", map.size(), max_file_bytes);
  }
  return parse_json(map.text(), file.string());
}

}  // namespace sambay
