// Tokens, read one after the other.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"

namespace sambay::jinja {

// A place in the tokens of a template.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[place_]; }
  bool at(TokenType type) const { return current().type == type; }
  bool at_op(std::string_view op) const { return is(place_, TokenType::op, op); }
  bool at_name(std::string_view name) const { return is(place_, TokenType::name, name); }
  bool next_is(TokenType type, std::string_view text) const { return is(place_ + 1, type, text); }
  // Takes the token if it is the one named.
  bool take_op(std::string_view op);
  bool take_name(std::string_view name);
  // Throw Fault if it is another.
  Token take() { return tokens_[at(TokenType::end) ? place_ : place_++]; }
  Token expect(TokenType type, std::string_view what);
  void expect_op(std::string_view op);
  void expect_name(std::string_view name);
  [[noreturn]] void unexpected(std::string_view expected) const;

 private:
  bool is(size_t place, TokenType type, std::string_view text) const;

  std::vector<Token> tokens_;
  size_t place_ = 0;
};

}  // namespace sambay::jinja
