// Names of models on the Hub, and which names that others chose may become paths here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sambay::hub {

// ORG/NAME[@revision]. A revision is a branch, a tag or a commit.
struct ModelName {
  std::string org, name, revision = "main";

  std::string repo() const { return org + "/" + name; }
  // As the user would write it: without the revision where it is main.
  std::string text() const;
};

// Nothing if `text` is no such name: then it can only be a path.
std::optional<ModelName> parse_model_name(std::string_view text);

// A relative path that stays below its folder and fits a file system: no "." or ".." or empty
// component, no control character, no component over 255 bytes, at most 1024 bytes in all.
bool is_safe_path(std::string_view path);

// 40 lower-case hexadecimal digits.
bool is_commit(std::string_view text);
bool is_hex(std::string_view text, size_t digits);

// Percent-encodes what is not a letter, digit or one of "-._~", and '/' unless it is kept.
std::string url_encoded(std::string_view text, bool keep_slashes);

}  // namespace sambay::hub
