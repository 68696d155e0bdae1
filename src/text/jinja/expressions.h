// The kinds of expressions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/filters.h"
#include "text/jinja/value_tests.h"

namespace sambay::jinja {

class Constant : public Expression {
 public:
  Constant(int at, Value value) : Expression(at, 1), value_(std::move(value)) {}
  Value evaluate(Render&) const override { return value_; }

 private:
  Value value_;
};

class Name : public Expression {
 public:
  Name(int at, std::string name) : Expression(at, 1), name_(std::move(name)) {}
  Value evaluate(Render& render) const override;

 private:
  std::string name_;
};

class ListDisplay : public Expression {
 public:
  ListDisplay(int at, Expressions items, SequenceKind kind)
      : Expression(at, depth_above(items)), items_(std::move(items)), kind_(kind) {}
  Value evaluate(Render& render) const override;

 private:
  Expressions items_;
  SequenceKind kind_;
};

class DictDisplay : public Expression {
 public:
  DictDisplay(int at, Expressions keys, Expressions values)
      : Expression(at, std::max(depth_above(keys), depth_above(values))),
        keys_(std::move(keys)),
        values_(std::move(values)) {}
  Value evaluate(Render& render) const override;

 private:
  Expressions keys_, values_;
};

class Attribute : public Expression {
 public:
  Attribute(int at, ExpressionPtr of, std::string name)
      : Expression(at, depth_above(of)), of_(std::move(of)), name_(std::move(name)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr of_;
  std::string name_;
};

class Subscript : public Expression {
 public:
  Subscript(int at, ExpressionPtr of, ExpressionPtr index)
      : Expression(at, std::max(depth_above(of), depth_above(index))),
        of_(std::move(of)),
        index_(std::move(index)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr of_, index_;
};

class Slice : public Expression {
 public:
  // Three bounds, each of which may be null.
  Slice(int at, ExpressionPtr of, Expressions bounds)
      : Expression(at, std::max(depth_above(of), depth_above(bounds))),
        of_(std::move(of)),
        bounds_(std::move(bounds)) {}
  Value evaluate(Render& render) const override;

 private:
  std::optional<int64_t> bound(Render& render, size_t i) const;

  ExpressionPtr of_;
  Expressions bounds_;
};

class Call : public Expression {
 public:
  Call(int at, ExpressionPtr callee, ArgumentList arguments)
      : Expression(at, std::max(depth_above(callee), arguments.depth())),
        callee_(std::move(callee)),
        arguments_(std::move(arguments)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr callee_;
  ArgumentList arguments_;
};

class FilterCall : public Expression {
 public:
  FilterCall(int at, ExpressionPtr input, std::string name, ArgumentList arguments)
      : Expression(at, std::max(depth_above(input), arguments.depth())),
        input_(std::move(input)),
        name_(std::move(name)),
        filter_(find_filter(name_)),
        arguments_(std::move(arguments)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr input_;
  std::string name_;
  Filter filter_;  // null if it is not supported
  ArgumentList arguments_;
};

class TestCall : public Expression {
 public:
  TestCall(int at, ExpressionPtr input, std::string name, ArgumentList arguments)
      : Expression(at, std::max(depth_above(input), arguments.depth())),
        input_(std::move(input)),
        name_(std::move(name)),
        test_(find_test(name_)),
        arguments_(std::move(arguments)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr input_;
  std::string name_;
  Test test_;  // null if it is not supported
  ArgumentList arguments_;
};

class Unary : public Expression {
 public:
  enum class Kind : uint8_t { negate, plus, invert };
  Unary(int at, Kind kind, ExpressionPtr of)
      : Expression(at, depth_above(of)), kind_(kind), of_(std::move(of)) {}
  Value evaluate(Render& render) const override;

 private:
  Kind kind_;
  ExpressionPtr of_;
};

class Binary : public Expression {
 public:
  enum class Kind : uint8_t {
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    modulo,
    power,
    logical_and,
    logical_or
  };
  Binary(int at, Kind kind, ExpressionPtr left, ExpressionPtr right)
      : Expression(at, std::max(depth_above(left), depth_above(right))),
        kind_(kind),
        left_(std::move(left)),
        right_(std::move(right)) {}
  Value evaluate(Render& render) const override;

 private:
  Kind kind_;
  ExpressionPtr left_, right_;
};

// a ~ b ~ c
class Concatenation : public Expression {
 public:
  Concatenation(int at, Expressions parts)
      : Expression(at, depth_above(parts)), parts_(std::move(parts)) {}
  Value evaluate(Render& render) const override;

 private:
  Expressions parts_;
};

// a < b == c, as in Python: each neighbours' comparison holds.
class Comparison : public Expression {
 public:
  enum class Kind : uint8_t { eq, ne, lt, le, gt, ge, in, not_in };
  // One kind fewer than there are parts.
  Comparison(int at, Expressions parts, std::vector<Kind> kinds)
      : Expression(at, depth_above(parts)), parts_(std::move(parts)), kinds_(std::move(kinds)) {}
  Value evaluate(Render& render) const override;

 private:
  Expressions parts_;
  std::vector<Kind> kinds_;
};

// a if condition else b; without else: undefined.
class Conditional : public Expression {
 public:
  Conditional(int at, ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise)
      : Expression(at,
                   std::max({depth_above(condition), depth_above(then), depth_above(otherwise)})),
        condition_(std::move(condition)),
        then_(std::move(then)),
        otherwise_(std::move(otherwise)) {}
  Value evaluate(Render& render) const override;

 private:
  ExpressionPtr condition_, then_, otherwise_;
};

}  // namespace sambay::jinja
