// Kinds of characters, as far as split patterns tell them apart.
#pragma once

#include <cstdint>

namespace sambay {

// Each code point is of exactly one.
enum CharKind : uint8_t {
  other = 1,
  upper = 2,      // \p{Lu}, \p{Lt}
  lower = 4,      // \p{Ll}
  caseless = 8,   // \p{Lm}, \p{Lo}
  mark = 16,      // \p{M}
  number = 32,    // \p{N}
  blank = 64,     // White_Space but for the next
  newline = 128,  // \r, \n
};
inline constexpr uint8_t letter = upper | lower | caseless;
inline constexpr uint8_t white = blank | newline;

// By code point, up to U+10FFFF: what PCRE2's version of Unicode says.
const uint8_t* char_kinds();

}  // namespace sambay
