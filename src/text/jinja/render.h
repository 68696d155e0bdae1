// One rendering: variables, output, and what it has cost.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja/ast.h"

namespace sambay::jinja {

struct Scope {
  std::unordered_map<std::string, Value> variables;
  std::shared_ptr<Scope> parent;
};

class Render {
 public:
  Render(const Limits& limits, std::time_t now);
  ~Render();
  Render(const Render&) = delete;
  Render& operator=(const Render&) = delete;

  // All throw Fault; `line` is then where.
  Value evaluate(const Expression& expression);
  Flow run(const Body& body);
  void print(std::string_view text);
  // What the body prints.
  std::string capture(const Body& body);

  // Undefined if no scope has it.
  Value lookup(const std::string& name) const;
  void assign(const std::string& name, Value value) { scope->variables[name] = std::move(value); }
  // Runs `inside` in a new scope within `parent`.
  void in_scope(std::shared_ptr<Scope> parent, const std::function<void()>& inside);

  // Things that may come to hold themselves are emptied by such an action.
  void at_end(std::function<void()> action) { at_end_.push_back(std::move(action)); }

  Budget budget;
  std::shared_ptr<Scope> scope;
  std::string output;
  Value captured;  // what a block has printed, until its filters take it
  int line = 1;
  const std::time_t now;

 private:
  void enter(int of_line);

  Limits limits_;
  int32_t depth_ = 0;
  std::vector<std::function<void()>> at_end_;
};

}  // namespace sambay::jinja
