// The kinds of statements.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"

namespace sambay::jinja {

class Data : public Statement {
 public:
  Data(int at, std::string text) : Statement(at), text_(std::move(text)) {}
  Flow run(Render& render) const override;

 private:
  std::string text_;
};

// {{ value }}
class Output : public Statement {
 public:
  Output(int at, ExpressionPtr value) : Statement(at), value_(std::move(value)) {}
  Flow run(Render& render) const override;

 private:
  ExpressionPtr value_;
};

class If : public Statement {
 public:
  struct Branch {
    ExpressionPtr condition;
    Body body;
  };
  If(int at, std::vector<Branch> branches, Body otherwise)
      : Statement(at), branches_(std::move(branches)), otherwise_(std::move(otherwise)) {}
  Flow run(Render& render) const override;

 private:
  std::vector<Branch> branches_;
  Body otherwise_;
};

class For : public Statement {
 public:
  struct Parts {
    Target target;
    ExpressionPtr items, test;  // the test may be null
    Body body, otherwise;
  };
  For(int at, Parts parts) : Statement(at), parts_(std::move(parts)) {}
  Flow run(Render& render) const override;

 private:
  Parts parts_;
};

class LoopControl : public Statement {
 public:
  LoopControl(int at, Flow flow) : Statement(at), flow_(flow) {}
  Flow run(Render&) const override { return flow_; }

 private:
  Flow flow_;
};

// {% set target = value %}
class Set : public Statement {
 public:
  Set(int at, Target target, ExpressionPtr value)
      : Statement(at), target_(std::move(target)), value_(std::move(value)) {}
  Flow run(Render& render) const override;

 private:
  Target target_;
  ExpressionPtr value_;
};

// What a body has printed, as the input of filters.
class Captured : public Expression {
 public:
  explicit Captured(int at) : Expression(at, 1) {}
  Value evaluate(Render& render) const override;
};

// {% set target | filters %}...{% endset %}; without a target it is printed: {% filter filters %}.
class Capture : public Statement {
 public:
  // `value`: filters on a Captured, or one alone.
  Capture(int at, std::optional<Target> target, ExpressionPtr value, Body body)
      : Statement(at),
        target_(std::move(target)),
        value_(std::move(value)),
        body_(std::move(body)) {}
  Flow run(Render& render) const override;

 private:
  std::optional<Target> target_;
  ExpressionPtr value_;
  Body body_;
};

// {% with a = 1 %}; without assignments {% generation %}, which marks what a model says for
// training and prints its body.
class With : public Statement {
 public:
  using Assignments = std::vector<std::pair<Target, ExpressionPtr>>;
  With(int at, Assignments assignments, Body body)
      : Statement(at), assignments_(std::move(assignments)), body_(std::move(body)) {}
  Flow run(Render& render) const override;

 private:
  Assignments assignments_;
  Body body_;
};

class Macro : public Statement {
 public:
  struct Parameter {
    std::string name;
    ExpressionPtr otherwise;  // null if it has no default
  };
  Macro(int at, std::string name_of, std::vector<Parameter> parameters_of, Body body_of)
      : Statement(at),
        name(std::move(name_of)),
        parameters(std::move(parameters_of)),
        body(std::move(body_of)) {}
  Flow run(Render& render) const override;

  const std::string name;
  const std::vector<Parameter> parameters;
  const Body body;
};

}  // namespace sambay::jinja
