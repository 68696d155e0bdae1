#include "text/jinja/parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "text/jinja/expression_parser.h"
#include "text/jinja/statements.h"

namespace sambay::jinja {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Body parse_all() {
    Body body = parse_body({});
    if (!tokens_.at(TokenType::end)) {
      throw Fault(fmt::format("unexpected {{% {} %}}", excerpt(tokens_.current().text)),
                  tokens_.current().line);
    }
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  // Statements up to a block that begins with one of the names, which is the current token then.
  Body parse_body(Ends ends) {
    Body body;
    while (!tokens_.at(TokenType::end)) {
      const int line = tokens_.current().line;
      if (tokens_.at(TokenType::data)) {
        body.push_back(std::make_unique<Data>(line, tokens_.take().text));
      } else if (tokens_.at(TokenType::variable_begin)) {
        tokens_.take();
        body.push_back(std::make_unique<Output>(line, expressions_.tuple(true)));
        tokens_.expect(TokenType::variable_end, "'}}'");
      } else {
        tokens_.take();
        if (std::any_of(ends.begin(), ends.end(),
                        [this](std::string_view end) { return tokens_.at_name(end); })) {
          return body;
        }
        if (is_end()) {
          break;
        }
        body.push_back(statement(line));
        tokens_.expect(TokenType::block_end, "'%}'");
      }
    }
    if (ends.size() > 0) {
      throw Fault(fmt::format("expected {{% {} %}}, got {}", *(ends.end() - 1),
                              tokens_.at(TokenType::end)
                                  ? "the end of the template"
                                  : fmt::format("{{% {} %}}", excerpt(tokens_.current().text))),
                  tokens_.current().line);
    }
    return body;
  }
  bool is_end() const {
    const Token& token = tokens_.current();
    return token.type == TokenType::name &&
           (token.text.starts_with("end") || token.text == "else" || token.text == "elif");
  }
  // The body of a block whose tag has been read, and its end's name.
  Body block(Ends ends) {
    tokens_.take_op(":");
    tokens_.expect(TokenType::block_end, "'%}'");
    if (++depth_ > statement_depth_limit) {
      throw Fault(fmt::format("blocks nested deeper than {}", statement_depth_limit),
                  tokens_.current().line);
    }
    Body body = parse_body(ends);
    --depth_;
    return body;
  }
  Body whole_block(std::string_view end) {
    Body body = block({end});
    tokens_.take();
    return body;
  }
  // The same for what is no part of the loop around it: it cannot leave that loop.
  Body separate_block(std::string_view end) {
    const bool outer = std::exchange(in_loop_, false);
    Body body = whole_block(end);
    in_loop_ = outer;
    return body;
  }

  std::unique_ptr<const Statement> statement(int line) {
    const Token token = tokens_.expect(TokenType::name, "the name of a block");
    if (token.text == "if") {
      return if_statement(line);
    }
    if (token.text == "for") {
      return for_statement(line);
    }
    if (token.text == "set") {
      return set_statement(line);
    }
    if (token.text == "macro") {
      return macro_statement(line);
    }
    if (token.text == "filter") {
      auto value = expressions_.filters(std::make_unique<Captured>(line), true);
      return std::make_unique<Capture>(line, std::nullopt, std::move(value),
                                       separate_block("endfilter"));
    }
    if (token.text == "with") {
      return with_statement(line);
    }
    if (token.text == "generation") {
      return std::make_unique<With>(line, With::Assignments(), separate_block("endgeneration"));
    }
    if ((token.text == "break" || token.text == "continue") && in_loop_) {
      return std::make_unique<LoopControl>(
          line, token.text == "break" ? Flow::break_loop : Flow::continue_loop);
    }
    throw Fault(fmt::format("{{% {} %}} is not supported{}", excerpt(token.text),
                            token.text == "break" || token.text == "continue" ? " here" : ""),
                line);
  }

  std::unique_ptr<const Statement> if_statement(int line) {
    std::vector<If::Branch> branches;
    Body otherwise;
    while (true) {
      auto condition = expressions_.tuple(false);
      branches.push_back({std::move(condition), block({"elif", "else", "endif"})});
      const std::string end = tokens_.take().text;
      if (end == "else") {
        otherwise = whole_block("endif");
      }
      if (end != "elif") {
        return std::make_unique<If>(line, std::move(branches), std::move(otherwise));
      }
    }
  }

  std::unique_ptr<const Statement> for_statement(int line) {
    For::Parts parts;
    parts.target = targets(false);
    tokens_.expect_name("in");
    parts.items = expressions_.tuple(false);
    parts.test = tokens_.take_name("if") ? expressions_.expression() : nullptr;
    if (tokens_.at_name("recursive")) {
      throw Fault("a recursive loop is not supported", line);
    }
    const bool outer = std::exchange(in_loop_, true);
    parts.body = block({"else", "endfor"});
    in_loop_ = outer;
    if (tokens_.take().text == "else") {
      parts.otherwise = whole_block("endfor");
    }
    return std::make_unique<For>(line, std::move(parts));
  }

  std::unique_ptr<const Statement> set_statement(int line) {
    Target target = targets(true);
    if (tokens_.take_op("=")) {
      return std::make_unique<Set>(line, std::move(target), expressions_.tuple(true));
    }
    auto value = expressions_.filters(std::make_unique<Captured>(line), false);
    return std::make_unique<Capture>(line, std::move(target), std::move(value),
                                     separate_block("endset"));
  }

  std::unique_ptr<const Statement> with_statement(int line) {
    With::Assignments assignments;
    while (!tokens_.at(TokenType::block_end)) {
      if (!assignments.empty()) {
        tokens_.expect_op(",");
      }
      Target target = one_target(false);
      tokens_.expect_op("=");
      assignments.emplace_back(std::move(target), expressions_.expression());
    }
    return std::make_unique<With>(line, std::move(assignments), whole_block("endwith"));
  }

  std::unique_ptr<const Statement> macro_statement(int line) {
    std::string name = tokens_.expect(TokenType::name, "the name of a macro").text;
    std::vector<Macro::Parameter> parameters;
    tokens_.expect_op("(");
    while (!tokens_.take_op(")")) {
      if (!parameters.empty()) {
        tokens_.expect_op(",");
      }
      Macro::Parameter parameter{tokens_.expect(TokenType::name, "the name of a parameter").text,
                                 nullptr};
      if (tokens_.take_op("=")) {
        parameter.otherwise = expressions_.expression();
      } else if (!parameters.empty() && parameters.back().otherwise != nullptr) {
        tokens_.unexpected("a default, as the parameter before has one");
      }
      parameters.push_back(std::move(parameter));
    }
    return std::make_unique<Macro>(line, std::move(name), std::move(parameters),
                                   separate_block("endmacro"));
  }

  // A name, or a parenthesis of targets; an attribute of a namespace where it may be one.
  Target one_target(bool with_attribute) {
    Target target;
    if (tokens_.take_op("(")) {
      if (++depth_ > statement_depth_limit) {
        throw Fault("names nested too deeply", tokens_.current().line);
      }
      target = targets(with_attribute);
      --depth_;
      tokens_.expect_op(")");
      return target;
    }
    const Token token = tokens_.expect(TokenType::name, "a name to assign to");
    constexpr std::array reserved = {"true", "True", "false", "False", "none", "None", "in", "if"};
    if (std::find(reserved.begin(), reserved.end(), token.text) != reserved.end()) {
      throw Fault(fmt::format("cannot assign to '{}'", token.text), token.line);
    }
    target.name = token.text;
    if (with_attribute && tokens_.take_op(".")) {
      target.attribute = tokens_.expect(TokenType::name, "a name behind '.'").text;
    }
    return target;
  }
  Target targets(bool with_attribute) {
    Target first = one_target(with_attribute);
    if (!tokens_.at_op(",")) {
      return first;
    }
    Target all;
    all.parts.push_back(std::move(first));
    while (tokens_.take_op(",")) {
      if (tokens_.at_name("in") || tokens_.at_op("=") || tokens_.at_op(")") ||
          tokens_.at(TokenType::block_end)) {
        break;
      }
      all.parts.push_back(one_target(with_attribute));
    }
    return all;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int32_t depth_ = 0;
  bool in_loop_ = false;
};

}  // namespace

Body parse(std::string_view source) {
  return Parser(source).parse_all();
}

}  // namespace sambay::jinja
