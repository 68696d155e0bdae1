// UTF-8, strictly: no surrogates, no overlong forms, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sambay {

enum class Utf8 { valid, invalid, incomplete };

// What a text begins with: one character; or the longest part of one that can never become one, at
// least a byte (Unicode 15, section 3.9, "maximal subpart"); or the whole rest, if more bytes could
// complete it.
struct Utf8Step {
  Utf8 kind;
  size_t bytes;
  uint32_t code_point;  // if valid
};
Utf8Step utf8_step(std::string_view text);  // text is not empty

// Length of the longest beginning that is ASCII, and of the longest that is valid.
size_t ascii_prefix(std::string_view text);
size_t utf8_valid_prefix(std::string_view text);

// Replaces each invalid part by U+FFFD; an incomplete end too.
std::string utf8_lossy(std::string_view bytes);
// The same, but leaves an incomplete end in `pending`, where it waits for what follows.
std::string utf8_take_complete(std::string& pending);

// The character that a valid text, which is not empty, begins or ends with.
std::string_view first_character(std::string_view text);
std::string_view last_character(std::string_view text);
void append_utf8(std::string& out, uint32_t code_point);

// Unicode's White_Space.
bool is_white_space(uint32_t code_point);
// How many bytes of it any text begins or ends with.
size_t white_space_at_start(std::string_view text);
size_t white_space_at_end(std::string_view text);

}  // namespace sambay
