#include "text/bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <queue>
#include <utility>

#include "base/error.h"

namespace sambay {
namespace {

// Up to here scanning all pairs for the best one beats keeping a heap.
constexpr size_t short_word = 48;
// Making a list for each of so many ranks costs no more than a byte of the word on the heap.
constexpr size_t lists_pay_off = 16;

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Fibonacci hashing: the upper bits of the product are well mixed.
size_t slot_of(uint64_t pair, int shift) {
  return static_cast<size_t>((pair * 0x9e3779b97f4a7c15U) >> shift);
}

constexpr uint32_t none = UINT32_MAX;

// Proposed merges, the lowest rank first and of equal ones the leftmost: as a heap...
class MergeHeap {
 public:
  void push(uint32_t rank, uint32_t at) { heap_.push(uint64_t{rank} << 32 | at); }
  bool empty() const { return heap_.empty(); }
  std::pair<uint32_t, uint32_t> pop() {
    const uint64_t top = heap_.top();
    heap_.pop();
    return {static_cast<uint32_t>(top >> 32), static_cast<uint32_t>(top)};
  }

 private:
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap_;
};

// ... and, where what is pushed is always of a higher rank than what was popped last, as a list a
// rank: pushing and popping take the same time however many there are.
class MergeLists {
 public:
  explicit MergeLists(size_t ranks) : last_(ranks, none) {}

  void push(uint32_t rank, uint32_t at) {
    uint32_t node = free_;
    if (node != none) {
      free_ = nodes_[node].next;
    } else {
      node = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
    }
    uint32_t& last = last_[rank];
    nodes_[node] = {at, last == none ? node : nodes_[last].next};  // a circle
    if (last != none) {
      nodes_[last].next = node;
    }
    last = node;
    ++waiting_;
  }
  bool empty() const { return next_ == places_.size() && waiting_ == 0; }
  std::pair<uint32_t, uint32_t> pop() {
    if (next_ == places_.size()) {
      while (last_[rank_] == none) {
        ++rank_;
      }
      take_list();
    }
    return {rank_, places_[next_++]};
  }

 private:
  struct Node {
    uint32_t at = 0, next = none;
  };

  void take_list() {
    places_.clear();
    next_ = 0;
    const uint32_t last = std::exchange(last_[rank_], none), first = nodes_[last].next;
    for (uint32_t node = first;; node = nodes_[node].next) {
      places_.push_back(nodes_[node].at);
      if (node == last) {
        break;
      }
    }
    nodes_[last].next = free_;
    free_ = first;
    waiting_ -= places_.size();
    if (!std::is_sorted(places_.begin(), places_.end())) {
      std::sort(places_.begin(), places_.end());
    }
  }

  std::vector<uint32_t> last_;  // node of each rank's list
  std::vector<Node> nodes_;
  uint32_t free_ = none;
  size_t waiting_ = 0;  // in lists
  uint32_t rank_ = 0;
  std::vector<uint32_t> places_;  // of rank_
  size_t next_ = 0;
};

// Whether every merge that makes a token comes before every merge that takes it, as in what
// training gives.
bool in_order(const std::vector<Merge>& merges) {
  int32_t highest = 0;
  for (const Merge& merge : merges) {
    highest = std::max({highest, merge.left, merge.right, merge.merged});
  }
  std::vector<bool> taken(static_cast<size_t>(highest) + 1);
  for (const Merge& merge : merges) {
    if (taken[static_cast<size_t>(merge.merged)]) {
      return false;
    }
    taken[static_cast<size_t>(merge.left)] = taken[static_cast<size_t>(merge.right)] = true;
  }
  return true;
}

}  // namespace

BpeMerges::BpeMerges(std::vector<Merge> merges, std::vector<int32_t> byte_ids)
    : merges_(std::move(merges)), in_order_(in_order(merges_)), byte_ids_(std::move(byte_ids)) {
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
  } else if (in_order_ && word.size() > merges_.size() / lists_pay_off) {
    apply_long(word, ids, MergeLists(merges_.size()));
  } else {
    apply_long(word, ids, MergeHeap());
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

template <class Queue>
void BpeMerges::apply_long(std::string_view word, std::vector<int32_t>& ids, Queue proposed) const {
  struct Symbol {
    int32_t id;
    uint32_t before, after;
  };
  if (word.size() >= none) {
    fail("tokenizer", "a word of {} bytes: expected less than {}", word.size(), none);
  }
  const auto count = static_cast<uint32_t>(word.size());
  std::vector<Symbol> symbols(count);
  const auto propose = [&](uint32_t left, uint32_t right) {
    if (left != none && right != none) {
      const uint32_t rank = find(symbols[left].id, symbols[right].id).rank;
      if (rank != no_rank) {
        proposed.push(rank, left);
      }
    }
  };
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i - 1,
                  i + 1 < count ? i + 1 : none};
  }
  for (uint32_t i = 0; i + 1 < count; ++i) {
    propose(i, i + 1);
  }
  constexpr int32_t gone = -1;
  while (!proposed.empty()) {
    const auto [rank, at] = proposed.pop();
    const Merge& merge = merges_[rank];
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
    }
    propose(left.before, at);
    propose(at, left.after);
  }
  for (uint32_t i = 0; i != none; i = symbols[i].after) {
    ids.push_back(symbols[i].id);
  }
}

}  // namespace sambay
