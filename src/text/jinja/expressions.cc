#include "text/jinja/expressions.h"

#include "text/jinja/access.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/render.h"

namespace sambay::jinja {
namespace {

std::vector<Value> evaluate_all(Render& render, const Expressions& expressions) {
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const auto& expression : expressions) {
    values.push_back(render.evaluate(*expression));
  }
  return values;
}

bool holds(Comparison::Kind kind, const Value& a, const Value& b, Budget& budget) {
  using Kind = Comparison::Kind;
  switch (kind) {
    case Kind::eq:
      return equal(a, b, budget);
    case Kind::ne:
      return !equal(a, b, budget);
    case Kind::lt:
      return std::is_lt(order(a, b, budget));
    case Kind::le:
      return std::is_lteq(order(a, b, budget));
    case Kind::gt:
      return std::is_gt(order(a, b, budget));
    case Kind::ge:
      return std::is_gteq(order(a, b, budget));
    case Kind::in:
      return contains(b, a, budget);
    case Kind::not_in:
      return !contains(b, a, budget);
  }
  return false;
}

}  // namespace

CallArguments ArgumentList::evaluate(Render& render) const {
  CallArguments result{evaluate_all(render, positional), {}};
  for (const auto& [name, value] : named) {
    result.named.emplace_back(name, render.evaluate(*value));
  }
  return result;
}

Value Name::evaluate(Render& render) const {
  return render.lookup(name_);
}

Value ListDisplay::evaluate(Render& render) const {
  return std::make_shared<const Sequence>(evaluate_all(render, items_), kind_);
}

Value DictDisplay::evaluate(Render& render) const {
  const auto dict = std::make_shared<Dict>();
  render.budget.charge_elements(8 * (keys_.size() + 1));
  for (size_t i = 0; i < keys_.size(); ++i) {
    const Value key = render.evaluate(*keys_[i]);
    dict->set(key, render.evaluate(*values_[i]));
  }
  return DictPtr(dict);
}

Value Attribute::evaluate(Render& render) const {
  return attribute(render.evaluate(*of_), name_);
}

Value Subscript::evaluate(Render& render) const {
  const Value of = render.evaluate(*of_);
  return item(of, render.evaluate(*index_), render.budget);
}

std::optional<int64_t> Slice::bound(Render& render, size_t i) const {
  if (bounds_[i] == nullptr) {
    return {};
  }
  const Value value = render.evaluate(*bounds_[i]);
  return value.is_none() ? std::nullopt : std::optional(integer_of(value, "slice"));
}

Value Slice::evaluate(Render& render) const {
  const Value of = render.evaluate(*of_);
  const SliceBounds bounds{bound(render, 0), bound(render, 1), bound(render, 2)};
  return slice(of, bounds, render.budget);
}

Value Call::evaluate(Render& render) const {
  const Value callee = render.evaluate(*callee_);
  const CallArguments arguments = arguments_.evaluate(render);
  if (defined(callee).as_object() == nullptr) {
    fault("'{}' object is not callable", callee.type_name());
  }
  return callee.as_object()->call(render, arguments);
}

Value FilterCall::evaluate(Render& render) const {
  if (filter_ == nullptr) {
    fault("filter '{}' is not supported", excerpt(name_));
  }
  const Value input = render.evaluate(*input_);
  return filter_(render, input, arguments_.evaluate(render));
}

Value TestCall::evaluate(Render& render) const {
  if (test_ == nullptr) {
    fault("test '{}' is not supported", excerpt(name_));
  }
  const Value input = render.evaluate(*input_);
  return test_(render, input, arguments_.evaluate(render));
}

Value Unary::evaluate(Render& render) const {
  const Value value = render.evaluate(*of_);
  switch (kind_) {
    case Kind::negate:
      return negate(value);
    case Kind::plus:
      return plus(value);
    case Kind::invert:
      return !value.truth();
  }
  return {};
}

Value Binary::evaluate(Render& render) const {
  const Value left = render.evaluate(*left_);
  if (kind_ == Kind::logical_and || kind_ == Kind::logical_or) {
    return left.truth() == (kind_ == Kind::logical_or) ? left : render.evaluate(*right_);
  }
  const Value right = render.evaluate(*right_);
  switch (kind_) {
    case Kind::add:
      return add(left, right, render.budget);
    case Kind::subtract:
      return subtract(left, right);
    case Kind::multiply:
      return multiply(left, right, render.budget);
    case Kind::divide:
      return divide(left, right);
    case Kind::floor_divide:
      return floor_divide(left, right);
    case Kind::modulo:
      return modulo(left, right);
    default:
      return power(left, right);
  }
}

Value Concatenation::evaluate(Render& render) const {
  std::string result;
  for (const auto& part : parts_) {
    result += to_text(render.evaluate(*part), render.budget);
  }
  return result;
}

Value Comparison::evaluate(Render& render) const {
  Value left = render.evaluate(*parts_[0]);
  for (size_t i = 0; i < kinds_.size(); ++i) {
    Value right = render.evaluate(*parts_[i + 1]);
    if (!holds(kinds_[i], left, right, render.budget)) {
      return false;
    }
    left = std::move(right);
  }
  return true;
}

Value Conditional::evaluate(Render& render) const {
  if (render.evaluate(*condition_).truth()) {
    return render.evaluate(*then_);
  }
  if (otherwise_ != nullptr) {
    return render.evaluate(*otherwise_);
  }
  return Value::undefined("the inline if was false and has no else");
}

}  // namespace sambay::jinja
