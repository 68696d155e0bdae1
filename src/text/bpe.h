// The merges of byte-pair encoding, applied to one word.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

class BpeMerges {
 public:
  // byte_ids[b]: the token of byte b.
  BpeMerges(std::vector<Merge> merges, std::vector<int32_t> byte_ids);

  // Appends the tokens of the word: the merge of lowest rank first, the leftmost of equal ones,
  // until none applies. O(n log n) in the length of the word; about O(n) for long ones if merges
  // are in the order that training gives.
  void apply(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Slot {
    uint64_t pair;  // left << 32 | right
    uint32_t rank;  // no_rank: the slot is free
    int32_t merged;
  };
  static constexpr uint32_t no_rank = UINT32_MAX;

  const Slot& find(int32_t left, int32_t right) const;
  void apply_short(std::string_view word, std::vector<int32_t>& ids) const;
  template <class Queue>
  void apply_long(std::string_view word, std::vector<int32_t>& ids, Queue proposed) const;

  std::vector<Merge> merges_;  // by rank
  bool in_order_;
  std::vector<Slot> slots_;  // open addressing; the size is a power of two
  int shift_ = 0;
  std::vector<int32_t> byte_ids_;
};

}  // namespace sambay
