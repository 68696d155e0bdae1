#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sambay {

void invariant_broken(std::string_view invariant, const char* file, int line) {
  fmt::print(stderr, "sambay: broken invariant: {} ({}:{})\n", invariant, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace sambay
