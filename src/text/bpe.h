// The merges of byte-pair encoding, applied to one word.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/merge_table.h"

namespace sambay {

class BpeMerges {
 public:
  // byte_ids[b]: the token of byte b.
  BpeMerges(const std::vector<Merge>& merges, std::vector<int32_t> byte_ids);

  // Appends the tokens of the word: the merge of lowest rank first, the leftmost of equal ones,
  // until none applies. O(n) in the length of the word, unless its tokens depend on text at any
  // distance, which none that text gave do: then O(n log n).
  void apply(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Token {
    int32_t id;
    size_t end;  // in the text it was made from
  };
  class Window;

  void apply_short(std::string_view word, std::vector<int32_t>& ids) const;
  void apply_long(std::string_view word, std::vector<int32_t>& ids) const;

  MergeTable merges_;
  std::vector<int32_t> byte_ids_;
};

}  // namespace sambay
