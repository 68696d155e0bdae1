// Regular expressions as tokenizers are published with.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "text/pcre2_handles.h"

namespace sambay {

// In Oniguruma's sense of \s (White_Space), \p{...} and ^ $, matched by PCRE2. Immutable: any
// number of threads may use one.
class Regex {
 public:
  // `what` and `tag` stand for it in errors. Throws Error if it does not compile.
  Regex(std::string_view pattern, std::string_view what, std::string_view tag);

  // Where the first match at or after `from` begins and ends; (npos, npos) if there is none. The
  // text is UTF-8. Throws Error if the pattern exceeds PCRE2's limits on it.
  std::pair<size_t, size_t> find(std::string_view text, size_t from) const;

 private:
  std::string name_;
  pcre2::Code code_;
};

}  // namespace sambay
