// A parsed template: expressions that have a value, statements that print.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace sambay::jinja {

class Expression {
 public:
  // `depth`: one more than that of the deepest part. Throws Fault if that is too deep.
  Expression(int at, int32_t depth_of) : line(at), depth(depth_of) {
    if (depth > expression_depth_limit) {
      throw Fault(fmt::format("an expression nested deeper than {}", expression_depth_limit), line);
    }
  }
  virtual ~Expression() = default;
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;
  // Called through Render::evaluate, which counts steps and depth.
  virtual Value evaluate(Render& render) const = 0;

  const int line;
  const int32_t depth;
};
using ExpressionPtr = std::unique_ptr<const Expression>;
using Expressions = std::vector<ExpressionPtr>;

inline int32_t depth_above(const ExpressionPtr& part) {
  return part == nullptr ? 1 : part->depth + 1;
}
inline int32_t depth_above(const Expressions& parts) {
  int32_t depth = 1;
  for (const auto& part : parts) {
    depth = std::max(depth, depth_above(part));
  }
  return depth;
}

enum class Flow : uint8_t { next, break_loop, continue_loop };

class Statement {
 public:
  explicit Statement(int at) : line(at) {}
  virtual ~Statement() = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  // Called through Render::run, which counts steps and depth.
  virtual Flow run(Render& render) const = 0;

  const int line;
};
using Body = std::vector<std::unique_ptr<const Statement>>;

struct ArgumentList {
  Expressions positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;

  int32_t depth() const {
    int32_t result = depth_above(positional);
    for (const auto& [name, value] : named) {
      result = std::max(result, depth_above(value));
    }
    return result;
  }
  CallArguments evaluate(Render& render) const;
};

// What a value is assigned to: a name, an attribute of a namespace, or several of these.
struct Target {
  std::string name, attribute;
  std::vector<Target> parts;

  // Throws Fault if a value does not have as many parts as the target.
  void assign(Render& render, const Value& value) const;
};

}  // namespace sambay::jinja
