#include "text/jinja/statements.h"

#include <algorithm>

#include "text/jinja/functions.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/render.h"

namespace sambay::jinja {
namespace {

// A macro as a value. It sees the variables of where it was defined as they are when it is called.
class MacroObject : public Object {
 public:
  MacroObject(const Macro& macro, std::shared_ptr<Scope> scope)
      : macro_(&macro), scope_(std::move(scope)) {}

  std::string type_name() const override { return "macro"; }
  bool callable() const override { return true; }
  std::optional<Value> attribute(std::string_view name) override {
    return name == "name" ? std::optional(Value(macro_->name)) : std::nullopt;
  }
  Value call(Render& render, const CallArguments& arguments) override {
    std::string text;
    render.in_scope(scope_, [&] {
      bind(render, arguments);
      text = render.capture(macro_->body);
    });
    return text;
  }

 private:
  void bind(Render& render, const CallArguments& arguments) {
    const auto& parameters = macro_->parameters;
    if (arguments.positional.size() > parameters.size()) {
      fault("macro '{}' takes not more than {} arguments", macro_->name, parameters.size());
    }
    for (const auto& [name, value] : arguments.named) {
      const auto found = std::find_if(parameters.begin(), parameters.end(),
                                      [&name = name](const auto& p) { return p.name == name; });
      const auto place = static_cast<size_t>(found - parameters.begin());
      if (place == parameters.size() || place < arguments.positional.size()) {
        fault("macro '{}' takes no keyword argument '{}'", macro_->name, excerpt(name));
      }
    }
    for (size_t i = 0; i < parameters.size(); ++i) {
      render.assign(parameters[i].name, argument(render, arguments, i));
    }
  }
  Value argument(Render& render, const CallArguments& arguments, size_t i) const {
    if (i < arguments.positional.size()) {
      return arguments.positional[i];
    }
    const auto& [parameter, otherwise] = macro_->parameters[i];
    for (const auto& [name, value] : arguments.named) {
      if (name == parameter) {
        return value;
      }
    }
    return otherwise != nullptr
               ? render.evaluate(*otherwise)
               : Value::undefined(fmt::format("parameter '{}' was not provided", parameter));
  }

  const Macro* macro_;
  std::shared_ptr<Scope> scope_;
};

}  // namespace

void Target::assign(Render& render, const Value& value) const {
  if (!attribute.empty()) {
    auto* space = dynamic_cast<Namespace*>(defined(render.lookup(name)).as_object());
    if (space == nullptr) {
      fault("cannot assign attribute on non-namespace object '{}'", name);
    }
    space->attributes[attribute] = value;
    return;
  }
  if (!name.empty()) {
    render.assign(name, value);
    return;
  }
  const auto values = iterate(defined(value), render.budget);
  if (values.size() != parts.size()) {
    fault("cannot unpack {} values to {} names", values.size(), parts.size());
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].assign(render, values[i]);
  }
}

Flow Data::run(Render& render) const {
  render.print(text_);
  return Flow::next;
}

Flow Output::run(Render& render) const {
  render.print(to_text(render.evaluate(*value_), render.budget));
  return Flow::next;
}

Flow If::run(Render& render) const {
  for (const auto& [condition, body] : branches_) {
    if (render.evaluate(*condition).truth()) {
      return render.run(body);
    }
  }
  return render.run(otherwise_);
}

Flow For::run(Render& render) const {
  const std::shared_ptr<Scope> outer = render.scope;
  auto items = iterate(render.evaluate(*parts_.items), render.budget);
  const auto loop = std::make_shared<Loop>(
      render,
      std::make_shared<LoopItems>(render, std::move(items), parts_.target, parts_.test.get()));
  bool none_completed = true;
  Flow flow = Flow::next;
  while (flow != Flow::break_loop) {
    const auto item = loop->next();
    if (!item) {
      break;
    }
    render.in_scope(outer, [&] {
      render.assign("loop", ObjectPtr(loop));
      parts_.target.assign(render, *item);
      flow = render.run(parts_.body);
    });
    // As in Jinja: an iteration that `continue` or `break` ends does not count for `else`.
    none_completed &= flow != Flow::next;
  }
  if (none_completed) {
    flow = Flow::next;
    render.in_scope(outer, [&] { flow = render.run(parts_.otherwise); });
    return flow;
  }
  return Flow::next;
}

Flow Set::run(Render& render) const {
  target_.assign(render, render.evaluate(*value_));
  return Flow::next;
}

Value Captured::evaluate(Render& render) const {
  return std::exchange(render.captured, {});
}

Flow Capture::run(Render& render) const {
  Value value;
  render.in_scope(render.scope, [&] {
    render.captured = render.capture(body_);
    value = render.evaluate(*value_);
  });
  if (target_) {
    target_->assign(render, value);
  } else {
    render.print(to_text(value, render.budget));
  }
  return Flow::next;
}

Flow With::run(Render& render) const {
  std::vector<Value> values;
  for (const auto& [target, value] : assignments_) {
    values.push_back(render.evaluate(*value));
  }
  Flow flow = Flow::next;
  render.in_scope(render.scope, [&] {
    for (size_t i = 0; i < values.size(); ++i) {
      assignments_[i].first.assign(render, values[i]);
    }
    flow = render.run(body_);
  });
  return flow;
}

Flow Macro::run(Render& render) const {
  render.at_end([scope = render.scope] { scope->variables.clear(); });
  render.assign(name, ObjectPtr(std::make_shared<MacroObject>(*this, render.scope)));
  return Flow::next;
}

}  // namespace sambay::jinja
