// Templates cut into tokens, white space control done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sambay::jinja {

enum class TokenType : uint8_t {
  data,  // text between tags
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,  // unescaped
  integer,
  real,
  op,
  end
};

struct Token {
  TokenType type;
  std::string text;
  int line;
};

// The default delimiters with trim_blocks and lstrip_blocks, as Hugging Face's apply_chat_template
// sets them; comments are left out, the last token is `end`. Throws Fault with its line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace sambay::jinja
