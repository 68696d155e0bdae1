// Tokens to expressions.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/expressions.h"
#include "text/jinja/token_stream.h"

namespace sambay::jinja {

// All throw Fault with the line of what cannot be read.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(&tokens) {}

  ExpressionPtr expression();
  // The same without `a if b else c`, which the place cannot have.
  ExpressionPtr without_condition();
  // Several with commas between them are a tuple.
  ExpressionPtr tuple(bool with_condition);
  // name(...) of "| name(...)", on an expression; then what follows.
  ExpressionPtr filters(ExpressionPtr input, bool bar_taken);

 private:
  class Nesting;

  ExpressionPtr binary(size_t level);
  ExpressionPtr inverted();
  ExpressionPtr comparison();
  ExpressionPtr concatenation(size_t level);
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr named_value();
  ExpressionPtr parenthesized();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr of);
  ExpressionPtr subscript(ExpressionPtr of);
  ExpressionPtr filters_and_tests(ExpressionPtr input);
  ExpressionPtr filter(ExpressionPtr input);
  ExpressionPtr test(ExpressionPtr input);
  ArgumentList arguments();
  std::string dotted_name(std::string_view what);

  TokenStream* tokens_;
  int32_t nesting_ = 0;
};

}  // namespace sambay::jinja
