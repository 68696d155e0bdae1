#include "text/bpe_trainer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <queue>
#include <span>
#include <unordered_set>
#include <utility>

#include "base/error.h"

namespace sambay {

const char* const word_split_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const digit_split_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

// All distinct words end to end, and for each pair of neighbours how often it occurs and in which
// words. A merge touches only the words that hold its pair, and in them only the neighbours.
class PairCounts {
 public:
  explicit PairCounts(const std::vector<std::pair<std::string_view, int64_t>>& words) {
    for (const auto& [word, count] : words) {
      const auto index = static_cast<uint32_t>(words_.size());
      words_.push_back({symbols_.size(), word.size(), count});
      for (const char c : word) {
        symbols_.push_back(byte_level_id(static_cast<unsigned char>(c)));
      }
      const auto symbols = symbols_of(index);
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        add(symbols[i], symbols[i + 1], index);
      }
    }
    propose_touched();
  }

  // The most frequent pair (left, right), if one occurs at least twice.
  std::optional<std::pair<int32_t, int32_t>> best() {
    while (!queue_.empty()) {
      const auto [count, inverted] = queue_.top();
      const uint64_t key = ~inverted;
      if (count == pairs_[key].count) {
        if (count < 2) {
          return std::nullopt;
        }
        return std::pair(static_cast<int32_t>(key >> 32), static_cast<int32_t>(key & UINT32_MAX));
      }
      // It has become rarer since it was put here; what became more frequent was put here again.
      queue_.pop();
      propose(key);
    }
    return std::nullopt;
  }

  void forbid(int32_t left, int32_t right) {
    pairs_[key_of(left, right)].count = std::numeric_limits<int64_t>::min() / 2;
  }

  void merge(int32_t left, int32_t right, int32_t merged) {
    const auto words = std::move(pairs_[key_of(left, right)].words);
    for (const uint32_t index : words) {
      merge_in_word(index, left, right, merged);
    }
    pairs_.erase(key_of(left, right));
    propose_touched();
  }

 private:
  struct Word {
    size_t begin, length;
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // may name words that hold it no more
  };
  struct Mix {
    size_t operator()(uint64_t key) const { return (key * 0x9e3779b97f4a7c15U) >> 20; }
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  std::span<int32_t> symbols_of(uint32_t index) {
    return std::span(symbols_).subspan(words_[index].begin, words_[index].length);
  }

  void merge_in_word(uint32_t index, int32_t left, int32_t right, int32_t merged) {
    const auto symbols = symbols_of(index);
    size_t kept = 0;
    for (size_t at = 0; at < symbols.size();) {
      if (at + 1 == symbols.size() || symbols[at] != left || symbols[at + 1] != right) {
        symbols[kept++] = symbols[at++];
        continue;
      }
      if (kept > 0) {
        remove(symbols[kept - 1], left, index);
        add(symbols[kept - 1], merged, index);
      }
      if (at + 2 < symbols.size()) {
        remove(right, symbols[at + 2], index);
        add(merged, symbols[at + 2], index);
      }
      symbols[kept++] = merged;
      at += 2;
    }
    words_[index].length = kept;
  }

  void add(int32_t left, int32_t right, uint32_t index) {
    const uint64_t key = key_of(left, right);
    Pair& pair = pairs_[key];
    pair.count += words_[index].count;
    if (pair.words.empty() || pair.words.back() != index) {
      pair.words.push_back(index);
    }
    touched_.push_back(key);
  }
  void remove(int32_t left, int32_t right, uint32_t index) {
    pairs_[key_of(left, right)].count -= words_[index].count;
  }

  void propose(uint64_t key) {
    if (const int64_t count = pairs_[key].count; count > 0) {
      queue_.emplace(count, ~key);  // of equal counts the smaller pair
    }
  }
  void propose_touched() {
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (const uint64_t key : touched_) {
      propose(key);
    }
    touched_.clear();
  }

  std::vector<int32_t> symbols_;
  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair, Mix> pairs_;
  std::vector<uint64_t> touched_;
  std::priority_queue<std::pair<int64_t, uint64_t>> queue_;
};

// Printable ASCII is written the same in the byte-level alphabet.
bool plain_name(std::string_view token) {
  return token.size() > 1 &&
         std::all_of(token.begin(), token.end(), [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace

BpeTrainer::BpeTrainer(BpeTrainerOptions options)
    : options_(std::move(options)),
      splitter_({{options_.split_pattern, true, true}}, "tokenizer training") {
  std::unordered_set<std::string_view> seen;
  for (const std::string& token : options_.special_tokens) {
    if (!plain_name(token) || !seen.insert(token).second) {
      fail("special_tokens", "\"{}\": expected distinct names of two or more ASCII characters",
           token);
    }
  }
  const auto least = static_cast<int64_t>(256 + options_.special_tokens.size());
  if (options_.vocab_size < least || options_.vocab_size > (1 << 22)) {
    fail("vocab_size", "{}: expected {} (the bytes and the special tokens) to {}",
         options_.vocab_size, least, 1 << 22);
  }
}

void BpeTrainer::add(std::string_view document) {
  pieces_.clear();
  splitter_.split(document, pieces_);
  for (const std::string_view piece : pieces_) {
    const auto known = counts_.find(piece);
    if (known != counts_.end()) {
      ++known->second;
    } else {
      counts_.emplace(piece, 1);
    }
  }
}

TokenizerSpec BpeTrainer::train() const {
  TokenizerSpec spec;
  spec.splits = {{options_.split_pattern, true, true}};
  spec.vocab.resize(256);
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = static_cast<size_t>(byte_level_id(static_cast<unsigned char>(byte)));
    spec.vocab[id].bytes = static_cast<char>(byte);
  }
  // A token can be made in several ways: "a" "bc" and "ab" "c". It has one id all the same.
  std::unordered_map<std::string, int32_t> made;
  const auto& special = options_.special_tokens;
  const size_t ordinary = static_cast<size_t>(options_.vocab_size) - special.size();

  PairCounts pairs({counts_.begin(), counts_.end()});
  while (spec.vocab.size() < ordinary) {
    const auto best = pairs.best();
    if (!best) {
      break;
    }
    const auto [left, right] = *best;
    std::string bytes =
        spec.vocab[static_cast<size_t>(left)].bytes + spec.vocab[static_cast<size_t>(right)].bytes;
    if (std::find(special.begin(), special.end(), bytes) != special.end()) {
      pairs.forbid(left, right);
      continue;
    }
    const auto [id, fresh] = made.emplace(bytes, static_cast<int32_t>(spec.vocab.size()));
    if (fresh) {
      spec.vocab.push_back({std::move(bytes)});
    }
    spec.merges.push_back({left, right, id->second});
    pairs.merge(left, right, id->second);
  }
  for (const std::string& token : special) {
    spec.added.push_back({.id = static_cast<int32_t>(spec.vocab.size()), .content = token});
    spec.vocab.push_back({token});
  }
  return spec;
}

}  // namespace sambay
