// Errors of the user or the world, and checks of our own invariants.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace sambay {

// A mistake of the user or the world: a file, a field, a value, and what was expected.
// The program prints what() and exits with 1. It is one line: control characters, which only
// foreign names and values bring along, are escaped.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view what);
};

// Throws Error with "[tag] message": tag is an op, a file, or "file: field".
template <class... Args>
[[noreturn]] void fail(std::string_view tag, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format("[{}] {}", tag, fmt::format(format, std::forward<Args>(args)...)));
}

// Stops the process: a broken invariant is a bug of ours, and going on would hide it.
// (Clang 14 has no std::source_location; these are the built-ins that it is made of.)
[[noreturn]] void invariant_broken(std::string_view invariant, const char* file = __builtin_FILE(),
                                   int line = __builtin_LINE());

// The invariant is a sentence: check(rows == h.dim(0), "the segments cover every row").
inline void check(bool holds, std::string_view invariant, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (!holds) [[unlikely]] {
    invariant_broken(invariant, file, line);
  }
}

}  // namespace sambay
