// Which two tokens merge, into which, and how early.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

class MergeTable {
 public:
  static constexpr uint32_t no_rank = UINT32_MAX;
  struct Entry {
    uint64_t pair;  // left << 32 | right
    uint32_t rank;  // no_rank: the two do not merge
    int32_t merged;
  };

  // In the order of their ranks.
  explicit MergeTable(const std::vector<Merge>& merges);

  const Entry& find(int32_t left, int32_t right) const {
    const uint64_t pair = pair_of(left, right), hash = hash_of(pair);
    if ((filter_[word_of(hash)] & bit_of(hash)) == 0) {
      return slots_.back();
    }
    size_t at = slot_of(hash);
    while (slots_[at].rank != no_rank && slots_[at].pair != pair) {
      at = next(at);
    }
    return slots_[at];
  }

 private:
  static uint64_t pair_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  // Fibonacci hashing: the upper bits of the product are well mixed.
  static uint64_t hash_of(uint64_t pair) { return pair * 0x9e3779b97f4a7c15U; }
  size_t slot_of(uint64_t hash) const { return static_cast<size_t>(hash >> slot_shift_); }
  size_t next(size_t slot) const { return slot + 2 < slots_.size() ? slot + 1 : 0; }
  size_t word_of(uint64_t hash) const { return static_cast<size_t>(hash >> word_shift_); }
  static uint64_t bit_of(uint64_t hash) { return uint64_t{1} << (hash >> 8 & 63); }

  // Open addressing in a power of two of slots; behind them one that is always free.
  std::vector<Entry> slots_;
  int slot_shift_ = 0;
  // Bits by hash, clear where no merge has that hash. Most pairs that are asked for do not merge,
  // and unlike the slots these stay in the second cache.
  std::vector<uint64_t> filter_;
  int word_shift_ = 0;
};

}  // namespace sambay
