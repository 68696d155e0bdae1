// Upper and lower case of whole texts as Python's str has them: Unicode's full mappings, without
// regard to language.
#pragma once

#include <string>
#include <string_view>

namespace sambay {

// The text is UTF-8.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// Each letter behind a letter in lower case, the others in title case.
std::string to_title(std::string_view text);
// The first character in title case, the others in lower case.
std::string to_capitalized(std::string_view text);

// Appends a character in lower case whatever stands around it: no final sigma.
void append_lower(std::string& out, std::string_view character);

// Whether repr() shows a character as it is: neither a control, a format, a private or unassigned
// character nor a separator other than the space.
bool is_printable(std::string_view character);

// Whether it is part of a word: \w of Unicode's regular expressions (UTS 18, annex C).
bool is_word_character(std::string_view character);

}  // namespace sambay
