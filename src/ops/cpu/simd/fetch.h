// Fetching what is wanted next while other work is done.
#pragma once

#include <cstdint>

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// Walks the lines of rows that are wanted next, a few with each step of the work at hand, whatever
// the order in which that work goes: memory answers addresses in order several times as fast as it
// does jumps. Into L2 (locality 2), which can wait for more lines at once than L1, or into L1 (3).
struct Fetch {
  static constexpr int64_t line = 64;

  Fetch() = default;
  // `rows` rows of `width` elements, `stride` elements apart. Rows that touch are one long row.
  template <class T>
  Fetch(const T* first, int64_t stride, int64_t width, int64_t rows)
      : at_(reinterpret_cast<const char*>(first)),
        row_bytes_(width * static_cast<int64_t>(sizeof(T))),
        stride_(stride * static_cast<int64_t>(sizeof(T))),
        rows_(rows) {
    if (rows_ <= 0) {
      return;
    }
    if (stride_ == row_bytes_) {
      row_bytes_ *= rows_;
      rows_ = 1;
    }
    row_end_ = at_ + row_bytes_;
  }

  template <int count, int locality = 2>
  [[gnu::always_inline]] void lines() {
    if (rows_ <= 0) {
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; ++i) {
      __builtin_prefetch(at_ + i * line, 0, locality);
    }
    at_ += count * line;
    if (at_ >= row_end_) {
      --rows_;
      row_end_ += stride_;
      at_ = row_end_ - row_bytes_;
    }
  }

 private:
  const char* at_ = nullptr;
  const char* row_end_ = nullptr;
  int64_t row_bytes_ = 0, stride_ = 0, rows_ = 0;
};

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
