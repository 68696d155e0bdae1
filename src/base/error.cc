#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sambay {

void invariant_broken(std::string_view invariant, std::source_location where) {
  fmt::print(stderr, "sambay: broken invariant: {} ({}:{})\n", invariant, where.file_name(),
             where.line());
  std::fflush(stderr);
  std::abort();
}

}  // namespace sambay
