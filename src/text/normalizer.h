// What is done to a text before it is cut, the way Hugging Face's library does it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

// Immutable: any number of threads may use one.
class Normalizer {
 public:
  // `tag` stands for the file in errors. Throws Error if a pattern does not compile.
  Normalizer(const std::vector<NormalizerStep>& steps, std::string_view tag);
  ~Normalizer();
  Normalizer(Normalizer&&) noexcept;
  Normalizer& operator=(Normalizer&&) noexcept;

  // The normalized text: all or part of `text` if nothing else changes, otherwise of `storage`.
  // Bytes that are not UTF-8 stay, and no pattern matches across them. Throws Error if the text
  // becomes many times as long.
  std::string_view apply(std::string_view text, std::string& storage) const;

 private:
  struct Step;
  std::vector<Step> steps_;
};

}  // namespace sambay
