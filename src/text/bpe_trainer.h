// Makes a byte-level BPE vocabulary from text: Sennrich, Haddow, Birch, "Neural machine translation
// of rare words with subword units", ACL 2016, on bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/tokenizer_json.h"
#include "text/splitter.h"

namespace sambay {

// Words with their leading space and English contractions, numbers in groups of up to three digits,
// punctuation with the line ends behind it, white space.
extern const char* const word_split_pattern;
// The same, but every digit stands alone: arithmetic is then learnt digit by digit.
extern const char* const digit_split_pattern;

struct BpeTrainerOptions {
  int32_t vocab_size = 8192;                     // bytes, merges and special tokens together
  std::vector<std::string> special_tokens = {};  // take the last ids, in this order
  std::string split_pattern = word_split_pattern;
};

// The same documents in any order give the same vocabulary: of pairs that are equally frequent the
// one with the smaller left id, then right id, is merged first.
class BpeTrainer {
 public:
  // Throws Error if the vocabulary cannot hold the bytes and the special tokens, a special token is
  // listed twice or not a name in printable ASCII, or the pattern does not compile.
  explicit BpeTrainer(BpeTrainerOptions options);

  void add(std::string_view document);

  // The vocabulary is smaller than asked for when no pair of tokens is left that occurs twice.
  TokenizerSpec train() const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };

  BpeTrainerOptions options_;
  Splitter splitter_;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;
  std::vector<std::string_view> pieces_;
};

}  // namespace sambay
