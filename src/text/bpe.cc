#include "text/bpe.h"

#include <array>
#include <bit>
#include <functional>
#include <optional>
#include <queue>
#include <utility>

#include "base/error.h"

namespace sambay {
namespace {

// Up to here scanning all pairs for the best one beats keeping a heap.
constexpr size_t short_word = 48;

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Fibonacci hashing: the upper bits of the product are well mixed.
size_t slot_of(uint64_t pair, int shift) {
  return static_cast<size_t>((pair * 0x9e3779b97f4a7c15U) >> shift);
}

}  // namespace

BpeMerges::BpeMerges(std::vector<Merge> merges, std::vector<int32_t> byte_ids)
    : merges_(std::move(merges)), byte_ids_(std::move(byte_ids)) {
  check(byte_ids_.size() == 256, "every byte has a token");
  const size_t size = std::bit_ceil(2 * merges_.size() + 2);
  shift_ = 64 - std::countr_zero(size);
  slots_.assign(size, Slot{0, no_rank, 0});
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const Merge& merge = merges_[rank];
    const uint64_t pair = pair_of(merge.left, merge.right);
    size_t at = slot_of(pair, shift_);
    while (slots_[at].rank != no_rank && slots_[at].pair != pair) {
      at = (at + 1) & (size - 1);
    }
    // Of a pair listed twice the later rank counts, as in Hugging Face's library.
    slots_[at] = {pair, static_cast<uint32_t>(rank), merge.merged};
  }
}

const BpeMerges::Slot& BpeMerges::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  size_t at = slot_of(pair, shift_);
  while (slots_[at].rank != no_rank && slots_[at].pair != pair) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return slots_[at];
}

void BpeMerges::apply(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.size() <= short_word) {
    apply_short(word, ids);
  } else {
    apply_long(word, ids);
  }
}

void BpeMerges::apply_short(std::string_view word, std::vector<int32_t>& ids) const {
  std::array<int32_t, short_word> symbols;
  std::array<const Slot*, short_word> merge;  // of symbol i with symbol i + 1
  size_t count = word.size();
  for (size_t i = 0; i < count; ++i) {
    symbols[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  }
  for (size_t i = 0; i + 1 < count; ++i) {
    merge[i] = &find(symbols[i], symbols[i + 1]);
  }
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      best = merge[i]->rank < merge[best]->rank ? i : best;
    }
    if (merge[best]->rank == no_rank) {
      break;
    }
    symbols[best] = merge[best]->merged;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      merge[i - 1] = merge[i];
    }
    --count;
    if (best > 0) {
      merge[best - 1] = &find(symbols[best - 1], symbols[best]);
    }
    if (best + 1 < count) {
      merge[best] = &find(symbols[best], symbols[best + 1]);
    }
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(count));
}

void BpeMerges::apply_long(std::string_view word, std::vector<int32_t>& ids) const {
  constexpr uint32_t none = UINT32_MAX;
  struct Symbol {
    int32_t id;
    uint32_t before, after;
  };
  if (word.size() >= none) {
    fail("tokenizer", "a word of {} bytes: expected less than {}", word.size(), none);
  }
  const auto count = static_cast<uint32_t>(word.size());
  std::vector<Symbol> symbols(count);
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i - 1,
                  i + 1 < count ? i + 1 : none};
  }
  // Proposed merges as rank << 32 | place: the smallest goes first.
  const auto candidate = [&](uint32_t left, uint32_t right) -> std::optional<uint64_t> {
    const uint32_t rank = find(symbols[left].id, symbols[right].id).rank;
    return rank != no_rank ? std::optional(uint64_t{rank} << 32 | left) : std::nullopt;
  };
  std::vector<uint64_t> proposed;
  for (uint32_t i = 0; i + 1 < count; ++i) {
    if (const auto made = candidate(i, i + 1)) {
      proposed.push_back(*made);
    }
  }
  std::priority_queue queue(std::greater<>(), std::move(proposed));
  constexpr int32_t gone = -1;
  while (!queue.empty()) {
    const Merge& merge = merges_[queue.top() >> 32];
    const auto at = static_cast<uint32_t>(queue.top());
    queue.pop();
    Symbol& left = symbols[at];
    // Both ends still are what they were when the merge was proposed.
    if (left.id != merge.left || left.after == none || symbols[left.after].id != merge.right) {
      continue;
    }
    Symbol& right = symbols[left.after];
    left.id = merge.merged;
    left.after = right.after;
    right.id = gone;
    if (left.after != none) {
      symbols[left.after].before = at;
      if (const auto made = candidate(at, left.after)) {
        queue.push(*made);
      }
    }
    if (left.before != none) {
      if (const auto made = candidate(left.before, at)) {
        queue.push(*made);
      }
    }
  }
  for (uint32_t i = 0; i != none; i = symbols[i].after) {
    ids.push_back(symbols[i].id);
  }
}

}  // namespace sambay
