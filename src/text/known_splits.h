// The split patterns of widely used tokenizers, matched by hand: what PCRE2 finds, several times as
// fast, and in a time linear in the text whatever it holds.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/char_kinds.h"

namespace sambay {

class KnownSplit {
 public:
  // Nothing if the pattern is none of these: GPT-2; cl100k (GPT-4, Llama 3) and its variants with
  // single digits (Qwen) and with marks among the letters; o200k (GPT-4o, Phi-4).
  static std::optional<KnownSplit> find(std::string_view pattern);

  // Appends the matches, which leave no gaps, in order. The text is UTF-8.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  enum class Words : uint8_t { gpt2, letters, cased };
  struct Style {
    Words words = Words::gpt2;
    uint8_t letters = letter;  // kinds that words are of
    int digits = 0;            // of a number at most
    bool slashes = false;      // behind punctuation, among line ends
  };

  explicit KnownSplit(const Style& style) : kinds_(char_kinds()), style_(style) {}
  const char* piece_end(const char* begin, const char* end) const;

  const uint8_t* kinds_;
  Style style_;
};

}  // namespace sambay
