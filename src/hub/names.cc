#include "hub/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace sambay::hub {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The Hub's own rules for organisations and repositories.
bool is_name_part(std::string_view part) {
  constexpr size_t longest = 96;
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  };
  const auto at_an_end = [](char c) { return is_alphanumeric(c) || c == '_'; };
  return !part.empty() && part.size() <= longest && std::ranges::all_of(part, allowed) &&
         at_an_end(part.front()) && at_an_end(part.back()) && part.find("--") == part.npos &&
         part.find("..") == part.npos;
}

bool is_safe_component(std::string_view component) {
  constexpr size_t longest = 255;
  return !component.empty() && component != "." && component != ".." && component.size() <= longest;
}

}  // namespace

std::string ModelName::text() const {
  return revision == "main" ? repo() : repo() + "@" + revision;
}

std::optional<ModelName> parse_model_name(std::string_view text) {
  ModelName model;
  if (const auto at = text.find('@'); at != text.npos) {
    model.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const auto slash = text.find('/');
  if (slash == text.npos) {
    return std::nullopt;
  }
  model.org = text.substr(0, slash);
  model.name = text.substr(slash + 1);
  if (!is_name_part(model.org) || !is_name_part(model.name) || !is_safe_path(model.revision)) {
    return std::nullopt;
  }
  return model;
}

bool is_safe_path(std::string_view path) {
  constexpr size_t longest = 1024;
  constexpr unsigned char space = 0x20, erase = 0x7f;
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < space || byte == erase;
  };
  if (path.size() > longest || std::ranges::any_of(path, is_control)) {
    return false;
  }
  for (;;) {
    const auto slash = path.find('/');
    if (!is_safe_component(path.substr(0, slash))) {
      return false;
    }
    if (slash == path.npos) {
      return true;
    }
    path.remove_prefix(slash + 1);
  }
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_commit(std::string_view text) {
  return is_hex(text, 40);
}

std::string url_encoded(std::string_view text, bool keep_slashes) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain || (c == '/' && keep_slashes)) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace sambay::hub
