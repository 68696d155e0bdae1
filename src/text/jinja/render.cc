#include "text/jinja/render.h"

#include "text/jinja/functions.h"
#include "text/jinja/operators.h"

namespace sambay::jinja {

Render::Render(const Limits& limits, std::time_t at)
    : budget(limits.steps), scope(std::make_shared<Scope>()), now(at), limits_(limits) {}

Render::~Render() {
  for (const auto& action : at_end_) {
    action();
  }
}

void Render::enter(int of_line) {
  line = of_line;
  budget.charge();
  if (++depth_ > limits_.depth) {
    fault("evaluation nested deeper than {}", limits_.depth);
  }
}

Value Render::evaluate(const Expression& expression) {
  const int outer = line;
  enter(expression.line);
  Value value = expression.evaluate(*this);
  --depth_;
  line = outer;
  return value;
}

Flow Render::run(const Body& body) {
  for (const auto& statement : body) {
    enter(statement->line);
    const Flow flow = statement->run(*this);
    --depth_;
    if (flow != Flow::next) {
      return flow;
    }
  }
  return Flow::next;
}

void Render::print(std::string_view text) {
  budget.charge_bytes(text.size());
  if (output.size() + text.size() > limits_.output_bytes) {
    fault("more than {} bytes of text", limits_.output_bytes);
  }
  output += text;
}

std::string Render::capture(const Body& body) {
  std::string outer = std::exchange(output, {});
  run(body);
  return std::exchange(output, std::move(outer));
}

Value Render::lookup(const std::string& name) const {
  for (const Scope* at = scope.get(); at != nullptr; at = at->parent.get()) {
    if (const auto found = at->variables.find(name); found != at->variables.end()) {
      return found->second;
    }
  }
  if (ObjectPtr function = find_function(name)) {
    return function;
  }
  return Value::undefined(fmt::format("'{}' is undefined", excerpt(name)));
}

void Render::in_scope(std::shared_ptr<Scope> parent, const std::function<void()>& inside) {
  const auto outer = std::exchange(scope, std::make_shared<Scope>());
  scope->parent = std::move(parent);
  inside();
  scope = outer;
}

}  // namespace sambay::jinja
