#include "text/bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/error.h"

namespace sambay {
namespace {

// Up to here scanning all pairs for the best one is as fast as keeping a tree, and needs no memory.
constexpr size_t short_word = 48;
// Bytes of a longer word that are merged at a time: with their tree they stay in the first cache.
constexpr size_t first_window = 512;

constexpr uint32_t none = UINT32_MAX;

}  // namespace

BpeMerges::BpeMerges(const std::vector<Merge>& merges, std::vector<int32_t> byte_ids)
    : merges_(merges), byte_ids_(std::move(byte_ids)) {
  check(byte_ids_.size() == 256, "every byte has a token");
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
  std::array<const MergeTable::Entry*, short_word> merge;  // of symbol i with symbol i + 1
  size_t count = word.size();
  for (size_t i = 0; i < count; ++i) {
    symbols[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  }
  for (size_t i = 0; i + 1 < count; ++i) {
    merge[i] = &merges_.find(symbols[i], symbols[i + 1]);
  }
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      best = merge[i]->rank < merge[best]->rank ? i : best;
    }
    if (merge[best]->rank == MergeTable::no_rank) {
      break;
    }
    symbols[best] = merge[best]->merged;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      merge[i - 1] = merge[i];
    }
    --count;
    if (best > 0) {
      merge[best - 1] = &merges_.find(symbols[best - 1], symbols[best]);
    }
    if (best + 1 < count) {
      merge[best] = &merges_.find(symbols[best], symbols[best + 1]);
    }
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(count));
}

// Merges a part of a word; a tree of minima says which merge comes next.
class BpeMerges::Window {
 public:
  explicit Window(const BpeMerges& bpe) : bpe_(bpe) {}

  // Valid until the next call.
  const std::vector<Token>& merge(std::string_view part) {
    if (part.size() >= none) {
      fail("tokenizer", "{} bytes of a word at a time: expected less than {}", part.size(), none);
    }
    begin(part);
    for (uint64_t best = tree_[1]; best >> 32 != MergeTable::no_rank; best = tree_[1]) {
      merge_at(static_cast<uint32_t>(best));
    }
    tokens_.clear();
    for (uint32_t i = 0; i != none; i = symbols_[i].after) {
      const uint32_t after = symbols_[i].after;
      tokens_.push_back({symbols_[i].id, after == none ? part.size() : after});
    }
    return tokens_;
  }

 private:
  struct Symbol {
    int32_t id;
    int32_t merged;  // with the one after
    uint32_t before, after;
  };
  static constexpr uint64_t nothing = UINT64_MAX;

  void begin(std::string_view part) {
    const auto count = static_cast<uint32_t>(part.size());
    symbols_.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
      symbols_[i] = {bpe_.byte_ids_[static_cast<unsigned char>(part[i])], 0, i - 1,
                     i + 1 < count ? i + 1 : none};
    }
    leaves_ = std::bit_ceil(part.size());
    tree_.assign(2 * leaves_, nothing);
    for (uint32_t i = 0; i + 1 < count; ++i) {
      propose(i, i + 1);
    }
    for (size_t node = leaves_ - 1; node > 0; --node) {
      update(node);
    }
  }

  // The lower, the earlier: by rank, then by place.
  void propose(uint32_t left, uint32_t right) {
    const MergeTable::Entry& entry = bpe_.merges_.find(symbols_[left].id, symbols_[right].id);
    symbols_[left].merged = entry.merged;
    tree_[leaves_ + left] = uint64_t{entry.rank} << 32 | left;
  }

  void merge_at(uint32_t at) {
    Symbol& left = symbols_[at];
    const uint32_t right = left.after;
    left.id = left.merged;
    left.after = symbols_[right].after;
    tree_[leaves_ + right] = nothing;
    if (left.after != none) {
      symbols_[left.after].before = at;
      propose(at, left.after);
    } else {
      tree_[leaves_ + at] = nothing;
    }
    if (left.before != none) {
      propose(left.before, at);
    }
    climb(left.before != none ? left.before : at, right);
  }

  // After changes from the first leaf to the last.
  void climb(uint32_t first_leaf, uint32_t last_leaf) {
    size_t first = (leaves_ + first_leaf) / 2, last = (leaves_ + last_leaf) / 2;
    for (; first < last; first /= 2, last /= 2) {
      for (size_t node = first; node <= last; ++node) {
        update(node);
      }
    }
    if (first == 0) {
      return;
    }
    update(first);
    // One path to the root, its value at hand rather than read back at every step.
    for (uint64_t best = tree_[first]; first > 1; first /= 2) {
      best = std::min(best, tree_[first ^ 1]);
      tree_[first / 2] = best;
    }
  }

  void update(size_t node) { tree_[node] = std::min(tree_[2 * node], tree_[2 * node + 1]); }

  const BpeMerges& bpe_;
  std::vector<Symbol> symbols_;  // by the place of their first byte
  size_t leaves_ = 0;            // one for each place, a power of two
  std::vector<uint64_t> tree_;   // rank << 32 | place; the root is 1, what is below i 2i and 2i + 1
  std::vector<Token> tokens_;
};

// A window at a time. Tokens in a row are what their bytes become if every two neighbours are what
// the bytes of those two become: the first merge across a boundary would be made in the two alone
// as well. So each window begins with a token of the one before, and where it makes the same token
// of those bytes, what follows in it may follow there.
void BpeMerges::apply_long(std::string_view word, std::vector<int32_t>& ids) const {
  Window part(*this);
  std::vector<Token> tokens;
  for (size_t window = first_window;;) {
    const size_t begin = tokens.size() < 2 ? 0 : tokens[tokens.size() - 2].end;
    const auto& fresh = part.merge(word.substr(begin, window));
    if (!tokens.empty() &&
        (fresh[0].id != tokens.back().id || begin + fresh[0].end != tokens.back().end)) {
      // The last window's end was believed too soon: from further back with a longer one.
      window *= 2;
      const size_t back = begin - std::min(begin, window);
      while (!tokens.empty() && tokens.back().end > back) {
        tokens.pop_back();
      }
      continue;
    }
    // Near its end a window misses what follows.
    const bool last = word.size() - begin <= window;
    const size_t believed = last ? word.size() : begin + window - window / 8;
    const size_t known = tokens.size();
    for (size_t i = tokens.empty() ? 0 : 1; i < fresh.size(); ++i) {
      if (begin + fresh[i].end > believed) {
        break;
      }
      tokens.push_back({fresh[i].id, begin + fresh[i].end});
    }
    if (last) {
      break;
    }
    if (tokens.size() == known) {
      window *= 2;
    }
  }
  for (const Token& token : tokens) {
    ids.push_back(token.id);
  }
}

}  // namespace sambay
