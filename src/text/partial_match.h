// Marks in text that comes in pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace sambay {

// Length of the longest end of `text` that begins, but is not, `mark`, which is not empty.
inline size_t begun_length(std::string_view text, std::string_view mark) {
  for (size_t n = std::min(text.size(), mark.size() - 1); n > 0; --n) {
    if (mark.starts_with(text.substr(text.size() - n))) {
      return n;
    }
  }
  return 0;
}

}  // namespace sambay
