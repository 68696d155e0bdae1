// Finds added tokens in text, the way Hugging Face's library does.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

class AddedTokenFinder {
 public:
  // A part of the text: an added token, or (id < 0) text between them. White space that a token
  // takes with it by lstrip or rstrip lies in the token's part.
  struct Part {
    int32_t id;
    std::string_view text;
  };

  explicit AddedTokenFinder(const std::vector<AddedToken>& tokens);

  // From left to right, at each place the longest; those with `normalized` in what the others
  // leave.
  std::vector<Part> split(std::string_view text) const;

 private:
  // Tokens of one kind, sorted by content.
  using Group = std::vector<AddedToken>;

  static void split_by(const Group& group, std::string_view text, std::vector<Part>& parts);
  static const AddedToken* longest_at(const Group& group, std::string_view text);

  Group plain_, normalized_;
};

}  // namespace sambay
