#include "text/jinja/value_tests.h"

#include <algorithm>
#include <array>

#include "text/jinja/arguments.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/render.h"
#include "text/unicode_case.h"

namespace sambay::jinja {
namespace {

using Arguments = const CallArguments&;

const Value& other(std::string_view name, Arguments arguments) {
  return Bound(name, arguments, {"other"}, 1)[0];
}

template <bool (*holds)(const Value&)>
bool simple(Render&, const Value& input, Arguments arguments) {
  const Bound args("test", arguments, {});
  return holds(input);
}

template <bool (*holds)(std::partial_ordering)>
bool ordered(Render& render, const Value& input, Arguments arguments) {
  return holds(order(input, other("test", arguments), render.budget));
}

bool is_equal(Render& render, const Value& input, Arguments arguments) {
  return equal(input, other("test", arguments), render.budget);
}

bool is_unequal(Render& render, const Value& input, Arguments arguments) {
  return !is_equal(render, input, arguments);
}

bool is_in(Render& render, const Value& input, Arguments arguments) {
  return contains(other("in", arguments), input, render.budget);
}

bool is_same(Render&, const Value& input, Arguments arguments) {
  return input.same_as(other("sameas", arguments));
}

bool is_divisible(Render&, const Value& input, Arguments arguments) {
  return !modulo(input, other("divisibleby", arguments)).truth();
}

bool is_odd(const Value& value) {
  return modulo(value, int64_t{2}).as_number() == 1.0;
}

bool is_even(const Value& value) {
  return !modulo(value, int64_t{2}).truth();
}

bool is_boolean(const Value& value) {
  return value.is_boolean();
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}

bool is_escaped(const Value& value) {
  return value.as_text() != nullptr && value.as_text()->safe;
}

bool is_false(const Value& value) {
  return value.is_boolean() && !value.truth();
}

bool is_float(const Value& value) {
  return value.as_real() != nullptr;
}

bool is_integer(const Value& value) {
  return value.as_integer() && !value.is_boolean();
}

bool is_mapping(const Value& value) {
  return value.as_dict() != nullptr;
}

bool is_none(const Value& value) {
  return value.is_none();
}

bool is_string(const Value& value) {
  return value.as_text() != nullptr;
}

bool is_true(const Value& value) {
  return value.is_boolean() && value.truth();
}

bool is_undefined(const Value& value) {
  return value.is_undefined();
}

bool is_number(const Value& value) {
  return value.as_number().has_value();
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.as_text() != nullptr || value.as_sequence() != nullptr ||
         value.as_dict() != nullptr;
}

bool is_indexable(const Value& value) {
  return is_iterable(value) && (value.as_sequence() == nullptr || value.as_sequence()->indexable());
}

bool is_callable(const Value& value) {
  return value.is_undefined() || (value.as_object() != nullptr && value.as_object()->callable());
}

bool is_cased(Render& render, const Value& input, Arguments arguments,
              std::string (*convert)(std::string_view), std::string (*away)(std::string_view)) {
  const Bound args("test", arguments, {});
  const std::string text = to_text(input, render.budget);
  render.budget.charge_elements(text.size());
  return convert(text) == text && away(text) != text;
}

bool is_known(Render& render, const Value& input, Arguments arguments, bool filter) {
  const Bound args("test", arguments, {});
  const std::string name = to_text(input, render.budget);
  return filter ? find_filter(name) != nullptr : find_test(name) != nullptr;
}

constexpr bool is_less(std::partial_ordering o) {
  return std::is_lt(o);
}
constexpr bool is_at_most(std::partial_ordering o) {
  return std::is_lteq(o);
}
constexpr bool is_greater(std::partial_ordering o) {
  return std::is_gt(o);
}
constexpr bool is_at_least(std::partial_ordering o) {
  return std::is_gteq(o);
}

struct Named {
  std::string_view name;
  Test test;
};
constexpr std::array tests = std::to_array<Named>({
    {"!=", is_unequal},
    {"<", ordered<is_less>},
    {"<=", ordered<is_at_most>},
    {"==", is_equal},
    {">", ordered<is_greater>},
    {">=", ordered<is_at_least>},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"escaped", simple<is_escaped>},
    {"even", simple<is_even>},
    {"false", simple<is_false>},
    {"filter", [](Render& r, const Value& v, Arguments a) { return is_known(r, v, a, true); }},
    {"float", simple<is_float>},
    {"ge", ordered<is_at_least>},
    {"greaterthan", ordered<is_greater>},
    {"gt", ordered<is_greater>},
    {"in", is_in},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", ordered<is_at_most>},
    {"lessthan", ordered<is_less>},
    {"lower",
     [](Render& r, const Value& v, Arguments a) { return is_cased(r, v, a, to_lower, to_upper); }},
    {"lt", ordered<is_less>},
    {"mapping", simple<is_mapping>},
    {"ne", is_unequal},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", simple<is_odd>},
    {"sameas", is_same},
    {"sequence", simple<is_indexable>},
    {"string", simple<is_string>},
    {"test", [](Render& r, const Value& v, Arguments a) { return is_known(r, v, a, false); }},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper",
     [](Render& r, const Value& v, Arguments a) { return is_cased(r, v, a, to_upper, to_lower); }},
});

}  // namespace

Test find_test(std::string_view name) {
  const auto found = std::find_if(tests.begin(), tests.end(),
                                  [name](const Named& named) { return named.name == name; });
  return found == tests.end() ? nullptr : found->test;
}

}  // namespace sambay::jinja
