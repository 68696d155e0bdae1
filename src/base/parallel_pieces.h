// parallel_for over memory that is read once: long runs for each thread, and no thread waits.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>

#include "base/threads.h"

namespace sambay {

// Splits [0, count) into one contiguous range a thread. A thread walks its own range in order, then
// helps with the others', since memory and neighbours do not serve all cores alike. It takes half
// of what is left of a range at a time, at least `piece`: taking waits for all reads under way, and
// a stream that stops takes a while to be fast again. Calls body(begin, end, range_end), multiples
// of `piece` or `count`: what is walked next is [end, range_end), if the range is not helped with.
template <class Body>
void parallel_pieces(int64_t count, int64_t piece, Body&& body) {
  constexpr int64_t most_ranges = 64;
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };
  const int64_t pieces = (count + piece - 1) / piece;
  const int64_t threads = std::min<int64_t>(pieces, num_threads());
  const int64_t ranges = std::min(threads, most_ranges);
  std::array<Range, most_ranges> all;
  for (int64_t r = 0; r < ranges; ++r) {
    all[r].next.store(pieces * r / ranges, std::memory_order_relaxed);
    all[r].end = pieces * (r + 1) / ranges;
  }
  parallel_for(threads, [&](int64_t thread) {
    for (int64_t turn = 0; turn < ranges; ++turn) {
      Range& range = all[(thread + turn) % ranges];
      const int64_t range_end = std::min(range.end * piece, count);
      int64_t begin = range.next.load(std::memory_order_relaxed);
      while (begin < range.end) {
        const int64_t end = begin + (range.end - begin + 1) / 2;
        if (range.next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) {
          body(begin * piece, std::min(end * piece, count), range_end);
          begin = range.next.load(std::memory_order_relaxed);
        }
      }
    }
  });
}

}  // namespace sambay
