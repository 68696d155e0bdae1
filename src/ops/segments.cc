#include "ops/segments.h"

#include "base/error.h"

namespace sambay {

Segments suffix(const Segments& all, const std::vector<int32_t>& wanted) {
  check(static_cast<int>(wanted.size()) == all.count(),
        "every segment says how many rows it wants");
  Segments out;
  for (int s = 0; s < all.count(); ++s) {
    const int64_t rows = wanted[static_cast<size_t>(s)];
    check(rows >= 0 && rows <= all.rows(s), "a segment wants at most the rows it has");
    out.add(rows, all.past[static_cast<size_t>(s)] + all.rows(s) - rows);
  }
  return out;
}

}  // namespace sambay
