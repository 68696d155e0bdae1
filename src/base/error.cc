#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sambay {
namespace {

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr unsigned char space = 0x20, erase = 0x7f;
    if (c == '\n') {
      line += "\\n";
    } else if (byte < space || byte == erase) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

Error::Error(std::string_view what) : std::runtime_error(one_line(what)) {}

void invariant_broken(std::string_view invariant, const char* file, int line) {
  fmt::print(stderr, "sambay: broken invariant: {} ({}:{})\n", invariant, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace sambay
