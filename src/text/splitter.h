// Cuts a text into the pieces within which BPE merges.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

// Regular expressions in Oniguruma's sense of \s (White_Space), \p{...} and ^ $, matched by PCRE2.
// Immutable: any number of threads may use one.
class Splitter {
 public:
  // Throws Error naming the tag and the pattern that does not compile.
  Splitter(const std::vector<SplitRule>& rules, std::string_view tag);
  ~Splitter();
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;

  // Appends the pieces, none of them empty, in order. Bytes that are not UTF-8 are pieces of their
  // own, one for each run. Throws Error if a pattern exceeds PCRE2's limits on this text.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  struct Rule;
  std::vector<Rule> rules_;
};

}  // namespace sambay
