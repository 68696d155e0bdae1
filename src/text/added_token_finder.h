// Finds added tokens in text, the way Hugging Face's library does.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"
#include "text/normalizer.h"

namespace sambay {

class AddedTokenFinder {
 public:
  // A part of the text: an added token, or (id < 0) text between them. White space that a token
  // takes with it by lstrip or rstrip lies in the token's part.
  struct Part {
    int32_t id;
    std::string_view text;
  };

  // The content of a token with `normalized` is sought as the normalizer makes it.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, const Normalizer& normalizer);

  // From left to right, at each place the longest token: first those without `normalized`...
  std::vector<Part> split(std::string_view text) const;
  // ... then, in what they leave, once it is normalized, those with it.
  std::vector<Part> split_normalized(std::string_view text) const;

 private:
  // Tokens of one kind, sorted by content.
  using Group = std::vector<AddedToken>;

  static std::vector<Part> split_by(const Group& group, std::string_view text);
  static const AddedToken* longest_at(const Group& group, std::string_view text);

  Group plain_, normalized_;
};

}  // namespace sambay
