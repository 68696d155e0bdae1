#include "text/jinja/token_stream.h"

#include "text/jinja/budget.h"

namespace sambay::jinja {
namespace {

std::string described(const Token& token) {
  switch (token.type) {
    case TokenType::data:
    case TokenType::end:
      return "the end of the template";
    case TokenType::variable_begin:
    case TokenType::block_begin:
      return "the beginning of a tag";
    case TokenType::variable_end:
    case TokenType::block_end:
      return "the end of the tag";
    default:
      return "'" + excerpt(token.text) + "'";
  }
}

}  // namespace

bool TokenStream::is(size_t place, TokenType type, std::string_view text) const {
  return place < tokens_.size() && tokens_[place].type == type && tokens_[place].text == text;
}

bool TokenStream::take_op(std::string_view op) {
  const bool found = at_op(op);
  place_ += found ? 1 : 0;
  return found;
}

bool TokenStream::take_name(std::string_view name) {
  const bool found = at_name(name);
  place_ += found ? 1 : 0;
  return found;
}

Token TokenStream::expect(TokenType type, std::string_view what) {
  if (!at(type)) {
    unexpected(what);
  }
  return take();
}

void TokenStream::expect_op(std::string_view op) {
  if (!take_op(op)) {
    unexpected(fmt::format("'{}'", op));
  }
}

void TokenStream::expect_name(std::string_view name) {
  if (!take_name(name)) {
    unexpected(fmt::format("'{}'", name));
  }
}

void TokenStream::unexpected(std::string_view expected) const {
  throw Fault(fmt::format("expected {}, got {}", expected, described(current())), current().line);
}

}  // namespace sambay::jinja
