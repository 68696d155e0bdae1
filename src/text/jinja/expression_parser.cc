#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

namespace sambay::jinja {
namespace {

struct Operator {
  std::string_view op;
  Binary::Kind kind;
  bool word = false;
};
constexpr std::array ors = {Operator{"or", Binary::Kind::logical_or, true}};
constexpr std::array ands = {Operator{"and", Binary::Kind::logical_and, true}};
constexpr std::array sums = {Operator{"+", Binary::Kind::add},
                             Operator{"-", Binary::Kind::subtract}};
constexpr std::array products = {
    Operator{"*", Binary::Kind::multiply}, Operator{"/", Binary::Kind::divide},
    Operator{"//", Binary::Kind::floor_divide}, Operator{"%", Binary::Kind::modulo}};
constexpr std::array powers = {Operator{"**", Binary::Kind::power}};

// From what binds least to what binds most; `not` and comparisons stand below `and`, `~` below
// sums. All of a level bind to the left, powers too.
constexpr size_t or_level = 0, and_level = 1, sum_level = 2, product_level = 3, power_level = 4;
constexpr std::array<std::span<const Operator>, 5> levels = {ors, ands, sums, products, powers};

constexpr std::array<std::pair<std::string_view, Comparison::Kind>, 6> comparisons = {
    {{"==", Comparison::Kind::eq},
     {"!=", Comparison::Kind::ne},
     {"<", Comparison::Kind::lt},
     {"<=", Comparison::Kind::le},
     {">", Comparison::Kind::gt},
     {">=", Comparison::Kind::ge}}};

bool is_keyword(std::string_view name) {
  constexpr std::array<std::string_view, 7> keywords = {"and",  "or", "not", "if",
                                                        "else", "in", "is"};
  return std::find(keywords.begin(), keywords.end(), name) != keywords.end();
}

// Any other name behind a test is its argument, so that Jinja refuses "x is none if y".
bool ends_test(std::string_view name) {
  return name == "else" || name == "or" || name == "and";
}

template <class Number>
Value parse_number(const Token& token) {
  Number value{};
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, value);
  if (error != std::errc() || stop != end) {
    throw Fault(fmt::format("number {} is beyond 64 bits", excerpt(token.text)), token.line);
  }
  return value;
}

}  // namespace

// Bounds the parser's own recursion.
class ExpressionParser::Nesting {
 public:
  explicit Nesting(ExpressionParser& parser) : parser_(&parser) {
    if (++parser.nesting_ > expression_depth_limit) {
      throw Fault(fmt::format("an expression nested deeper than {}", expression_depth_limit),
                  parser.tokens_->current().line);
    }
  }
  ~Nesting() { --parser_->nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  ExpressionParser* parser_;
};

ExpressionPtr ExpressionParser::expression() {
  const Nesting nesting(*this);
  auto then = without_condition();
  while (tokens_->at_name("if")) {
    const int line = tokens_->take().line;
    auto condition = without_condition();
    ExpressionPtr otherwise = tokens_->take_name("else") ? expression() : nullptr;
    then = std::make_unique<Conditional>(line, std::move(condition), std::move(then),
                                         std::move(otherwise));
  }
  return then;
}

ExpressionPtr ExpressionParser::without_condition() {
  return binary(or_level);
}

ExpressionPtr ExpressionParser::tuple(bool with_condition) {
  const auto part = [&] { return with_condition ? expression() : without_condition(); };
  const int line = tokens_->current().line;
  auto first = part();
  if (!tokens_->at_op(",")) {
    return first;
  }
  Expressions parts;
  parts.push_back(std::move(first));
  while (tokens_->take_op(",")) {
    if (tokens_->at(TokenType::variable_end) || tokens_->at(TokenType::block_end) ||
        tokens_->at_op(")")) {
      break;
    }
    parts.push_back(part());
  }
  return std::make_unique<ListDisplay>(line, std::move(parts), SequenceKind::tuple);
}

ExpressionPtr ExpressionParser::binary(size_t level) {
  const auto operand = [&]() -> ExpressionPtr {
    switch (level) {
      case or_level:
        return binary(and_level);
      case and_level:
        return inverted();
      case sum_level:
        return concatenation(product_level);
      case product_level:
        return binary(power_level);
      default:
        return unary(true);
    }
  };
  auto left = operand();
  while (true) {
    const auto found =
        std::find_if(levels[level].begin(), levels[level].end(), [this](const Operator& o) {
          return o.word ? tokens_->at_name(o.op) : tokens_->at_op(o.op);
        });
    if (found == levels[level].end()) {
      return left;
    }
    const int line = tokens_->take().line;
    auto right = operand();
    left = std::make_unique<Binary>(line, found->kind, std::move(left), std::move(right));
  }
}

ExpressionPtr ExpressionParser::inverted() {
  if (!tokens_->at_name("not")) {
    return comparison();
  }
  const Nesting nesting(*this);
  const int line = tokens_->take().line;
  return std::make_unique<Unary>(line, Unary::Kind::invert, inverted());
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = tokens_->current().line;
  Expressions parts;
  std::vector<Comparison::Kind> kinds;
  parts.push_back(binary(sum_level));
  while (true) {
    const auto found = std::find_if(comparisons.begin(), comparisons.end(),
                                    [this](const auto& c) { return tokens_->at_op(c.first); });
    if (found != comparisons.end()) {
      tokens_->take();
      kinds.push_back(found->second);
    } else if (tokens_->take_name("in")) {
      kinds.push_back(Comparison::Kind::in);
    } else if (tokens_->at_name("not") && tokens_->next_is(TokenType::name, "in")) {
      tokens_->take();
      tokens_->take();
      kinds.push_back(Comparison::Kind::not_in);
    } else {
      break;
    }
    parts.push_back(binary(sum_level));
  }
  if (kinds.empty()) {
    return std::move(parts.front());
  }
  return std::make_unique<Comparison>(line, std::move(parts), std::move(kinds));
}

ExpressionPtr ExpressionParser::concatenation(size_t level) {
  const int line = tokens_->current().line;
  auto first = binary(level);
  if (!tokens_->at_op("~")) {
    return first;
  }
  Expressions parts;
  parts.push_back(std::move(first));
  while (tokens_->take_op("~")) {
    parts.push_back(binary(level));
  }
  return std::make_unique<Concatenation>(line, std::move(parts));
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Nesting nesting(*this);
  const int line = tokens_->current().line;
  ExpressionPtr value;
  if (tokens_->take_op("-")) {
    value = std::make_unique<Unary>(line, Unary::Kind::negate, unary(false));
  } else if (tokens_->take_op("+")) {
    value = std::make_unique<Unary>(line, Unary::Kind::plus, unary(false));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const int line = tokens_->current().line;
  switch (tokens_->current().type) {
    case TokenType::name:
      return named_value();
    case TokenType::string: {
      std::string text;
      while (tokens_->at(TokenType::string)) {
        text += tokens_->take().text;
      }
      return std::make_unique<Constant>(line, Value(std::move(text)));
    }
    case TokenType::integer:
      return std::make_unique<Constant>(line, parse_number<int64_t>(tokens_->take()));
    case TokenType::real:
      return std::make_unique<Constant>(line, parse_number<double>(tokens_->take()));
    default:
      break;
  }
  if (tokens_->at_op("(")) {
    return parenthesized();
  }
  if (tokens_->at_op("[")) {
    return list();
  }
  return tokens_->at_op("{") ? dict() : (tokens_->unexpected("an expression"), nullptr);
}

ExpressionPtr ExpressionParser::named_value() {
  if (is_keyword(tokens_->current().text)) {
    tokens_->unexpected("an expression");
  }
  Token token = tokens_->take();
  if (token.text == "true" || token.text == "True" || token.text == "false" ||
      token.text == "False") {
    return std::make_unique<Constant>(token.line,
                                      Value(token.text[0] == 't' || token.text[0] == 'T'));
  }
  if (token.text == "none" || token.text == "None") {
    return std::make_unique<Constant>(token.line, Value());
  }
  return std::make_unique<Name>(token.line, std::move(token.text));
}

ExpressionPtr ExpressionParser::parenthesized() {
  const int line = tokens_->take().line;
  if (tokens_->take_op(")")) {
    return std::make_unique<ListDisplay>(line, Expressions(), SequenceKind::tuple);
  }
  auto value = tuple(true);
  tokens_->expect_op(")");
  return value;
}

ExpressionPtr ExpressionParser::list() {
  const int line = tokens_->take().line;
  Expressions items;
  while (!tokens_->take_op("]")) {
    if (!items.empty()) {
      tokens_->expect_op(",");
      if (tokens_->take_op("]")) {
        break;
      }
    }
    items.push_back(expression());
  }
  return std::make_unique<ListDisplay>(line, std::move(items), SequenceKind::list);
}

ExpressionPtr ExpressionParser::dict() {
  const int line = tokens_->take().line;
  Expressions keys, values;
  while (!tokens_->take_op("}")) {
    if (!keys.empty()) {
      tokens_->expect_op(",");
      if (tokens_->take_op("}")) {
        break;
      }
    }
    keys.push_back(expression());
    tokens_->expect_op(":");
    values.push_back(expression());
  }
  return std::make_unique<DictDisplay>(line, std::move(keys), std::move(values));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr of) {
  while (true) {
    const int line = tokens_->current().line;
    if (tokens_->take_op(".")) {
      if (tokens_->at(TokenType::integer)) {
        auto index = std::make_unique<Constant>(line, parse_number<int64_t>(tokens_->take()));
        of = std::make_unique<Subscript>(line, std::move(of), std::move(index));
      } else {
        auto name = tokens_->expect(TokenType::name, "a name behind '.'").text;
        of = std::make_unique<Attribute>(line, std::move(of), std::move(name));
      }
    } else if (tokens_->at_op("[")) {
      of = subscript(std::move(of));
    } else if (tokens_->at_op("(")) {
      of = std::make_unique<Call>(line, std::move(of), arguments());
    } else {
      return of;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr of) {
  const int line = tokens_->take().line;
  ExpressionPtr index = tokens_->at_op(":") ? nullptr : expression();
  if (index != nullptr && tokens_->take_op("]")) {
    return std::make_unique<Subscript>(line, std::move(of), std::move(index));
  }
  Expressions bounds;
  bounds.push_back(std::move(index));
  tokens_->expect_op(":");
  for (int i = 0; i < 2; ++i) {
    const bool none = tokens_->at_op(":") || tokens_->at_op("]");
    bounds.push_back(none ? nullptr : expression());
    if (i == 0 && !tokens_->take_op(":")) {
      bounds.push_back(nullptr);
      break;
    }
  }
  tokens_->expect_op("]");
  return std::make_unique<Slice>(line, std::move(of), std::move(bounds));
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr input) {
  while (true) {
    const int line = tokens_->current().line;
    if (tokens_->take_op("|")) {
      input = filter(std::move(input));
    } else if (tokens_->take_name("is")) {
      input = test(std::move(input));
    } else if (tokens_->at_op("(")) {
      input = std::make_unique<Call>(line, std::move(input), arguments());
    } else {
      return input;
    }
  }
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool bar_taken) {
  while (bar_taken || tokens_->take_op("|")) {
    input = filter(std::move(input));
    bar_taken = false;
  }
  return input;
}

std::string ExpressionParser::dotted_name(std::string_view what) {
  std::string name = tokens_->expect(TokenType::name, what).text;
  while (tokens_->take_op(".")) {
    name += "." + tokens_->expect(TokenType::name, what).text;
  }
  return name;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr input) {
  const int line = tokens_->current().line;
  std::string name = dotted_name("the name of a filter");
  ArgumentList list = tokens_->at_op("(") ? arguments() : ArgumentList();
  return std::make_unique<FilterCall>(line, std::move(input), std::move(name), std::move(list));
}

ExpressionPtr ExpressionParser::test(ExpressionPtr input) {
  const int line = tokens_->current().line;
  const bool negated = tokens_->take_name("not");
  std::string name = dotted_name("the name of a test");
  ArgumentList list;
  const Token& token = tokens_->current();
  if (tokens_->at_op("(")) {
    list = arguments();
  } else if ((token.type == TokenType::name && !ends_test(token.text)) ||
             token.type == TokenType::string || token.type == TokenType::integer ||
             token.type == TokenType::real || tokens_->at_op("[") || tokens_->at_op("{")) {
    list.positional.push_back(postfix(primary()));
  }
  ExpressionPtr result =
      std::make_unique<TestCall>(line, std::move(input), std::move(name), std::move(list));
  return negated ? std::make_unique<Unary>(line, Unary::Kind::invert, std::move(result))
                 : std::move(result);
}

ArgumentList ExpressionParser::arguments() {
  tokens_->expect_op("(");
  ArgumentList list;
  bool first = true;
  while (!tokens_->take_op(")")) {
    if (!first) {
      tokens_->expect_op(",");
      if (tokens_->take_op(")")) {
        break;
      }
    }
    first = false;
    if (tokens_->at_op("*") || tokens_->at_op("**")) {
      throw Fault("arguments unpacked by * or ** are not supported", tokens_->current().line);
    }
    if (tokens_->at(TokenType::name) && tokens_->next_is(TokenType::op, "=")) {
      std::string name = tokens_->take().text;
      tokens_->take();
      list.named.emplace_back(std::move(name), expression());
    } else if (list.named.empty()) {
      list.positional.push_back(expression());
    } else {
      tokens_->unexpected("a named argument");
    }
  }
  return list;
}

}  // namespace sambay::jinja
