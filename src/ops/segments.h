// Tokens of several sequences laid end to end: the one form of every batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sambay {

// A training batch, a chunk of a prompt, a decode step of many sequences, or a mixture.
// Segment s owns rows [begin[s], begin[s + 1]) of every (rows, width) tensor; its first row stands
// at position past[s] of its sequence. A segment may be empty.
struct Segments {
  std::vector<int32_t> begin = {0};  // count() + 1 row offsets, ascending from 0
  std::vector<int64_t> past;         // count() positions, 0 for a sequence that starts here

  int count() const { return static_cast<int>(past.size()); }
  int64_t rows() const { return begin.back(); }
  int64_t rows(int s) const {
    return begin[static_cast<size_t>(s) + 1] - begin[static_cast<size_t>(s)];
  }
  void add(int64_t rows_of_segment, int64_t past_of_segment = 0) {
    begin.push_back(begin.back() + static_cast<int32_t>(rows_of_segment));
    past.push_back(past_of_segment);
  }
  bool operator==(const Segments&) const = default;
};

// The last wanted[s] rows of each segment, as segments of their own (positions included).
// Throws nothing; wanted[s] <= rows(s) is an invariant.
Segments suffix(const Segments& all, const std::vector<int32_t>& wanted);

}  // namespace sambay
