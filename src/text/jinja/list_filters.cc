// Filters on lists, dicts and what else can be gone through.
#include <algorithm>
#include <array>
#include <set>

#include "text/jinja/access.h"
#include "text/jinja/arguments.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/python_text.h"
#include "text/jinja/render.h"
#include "text/jinja/value_tests.h"
#include "text/unicode_case.h"

namespace sambay::jinja {
namespace {

using Arguments = const CallArguments&;

Value generator(std::vector<Value> items) {
  return std::make_shared<const Sequence>(std::move(items), SequenceKind::generator);
}

// "a.b.0" looked up part after part; a value that is missing on the way is undefined.
class Getter {
 public:
  Getter() = default;
  explicit Getter(const Value& path) {
    if (path.as_text() == nullptr) {
      parts_.push_back(path);
      return;
    }
    for (const auto part : split(text_of(path, "attribute"), ".", -1, false)) {
      const bool number =
          !part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == part.npos;
      parts_.push_back(number ? Value(int64_t{std::stoll(std::string(part))}) : Value::text(part));
    }
  }
  Value operator()(Value value, Budget& budget) const {
    for (const Value& part : parts_) {
      value = item(value, part, budget);
    }
    return value;
  }

 private:
  std::vector<Value> parts_;
};

// A text's lower case, unless case matters; other values as they are.
Value folded(Value value, bool case_sensitive, Budget& budget) {
  if (case_sensitive || value.as_text() == nullptr) {
    return value;
  }
  budget.charge_elements(value.as_text()->bytes->size());
  return to_lower(*value.as_text()->bytes);
}

Value length_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("length", arguments, {});
  return length(input, render.budget);
}

Value list_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("list", arguments, {});
  return Value::list(iterate(input, render.budget));
}

Value first(Render& render, const Value& input, Arguments arguments) {
  const Bound args("first", arguments, {});
  const Sequence* sequence = input.as_sequence();
  if (sequence != nullptr && sequence->taken < sequence->items.size()) {
    const size_t at = sequence->taken;
    sequence->taken += sequence->kind == SequenceKind::generator ? 1 : 0;
    return sequence->items[at];
  }
  const auto items = iterate(input, render.budget);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last(Render& render, const Value& input, Arguments arguments) {
  const Bound args("last", arguments, {});
  if (input.as_sequence() != nullptr && input.as_sequence()->kind == SequenceKind::generator) {
    fault("last: a generator has no end to begin from; the filter list makes it a list");
  }
  const auto items = iterate(input, render.budget);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value join(Render& render, const Value& input, Arguments arguments) {
  const Bound args("join", arguments, {"d", "attribute"});
  const std::string separator = args.given(0) ? to_text(args[0], render.budget) : "";
  const Getter getter = args.some(1) ? Getter(args[1]) : Getter();
  std::string result;
  bool is_first = true;
  for (const Value& part : iterate(input, render.budget)) {
    render.budget.charge_bytes(separator.size());
    result += is_first ? "" : separator;
    result += to_text(getter(part, render.budget), render.budget);
    is_first = false;
  }
  return result;
}

Value reverse(Render& render, const Value& input, Arguments arguments) {
  const Bound args("reverse", arguments, {});
  if (input.as_text() != nullptr) {
    text_of(input, "reverse");
    return slice(input, {{}, {}, -1}, render.budget);
  }
  auto items = iterate(input, render.budget);
  std::reverse(items.begin(), items.end());
  return generator(std::move(items));
}

struct Keyed {
  std::vector<Value> keys;
  Value value;
};

void sort_by_keys(std::vector<Keyed>& items, bool reversed, Budget& budget) {
  const auto before = [&budget](const Keyed& a, const Keyed& b) {
    for (size_t i = 0; i < a.keys.size(); ++i) {
      if (!equal(a.keys[i], b.keys[i], budget)) {
        return less(a.keys[i], b.keys[i], budget);
      }
    }
    return false;
  };
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reversed ? before(b, a) : before(a, b);
  });
}

Value sort(Render& render, const Value& input, Arguments arguments) {
  const Bound args("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Getter> getters;
  if (args.some(2) && args[2].as_text() != nullptr) {
    for (const auto path : split(args.text(2), ",", -1, false)) {
      getters.emplace_back(Value::text(path));
    }
  } else {
    getters.push_back(args.some(2) ? Getter(args[2]) : Getter());
  }
  std::vector<Keyed> items;
  for (Value& value : iterate(input, render.budget)) {
    Keyed keyed{{}, std::move(value)};
    for (const Getter& getter : getters) {
      keyed.keys.push_back(
          folded(getter(keyed.value, render.budget), args.truth(1, false), render.budget));
    }
    items.push_back(std::move(keyed));
  }
  sort_by_keys(items, args.truth(0, false), render.budget);
  std::vector<Value> result;
  for (Keyed& keyed : items) {
    result.push_back(std::move(keyed.value));
  }
  return Value::list(std::move(result));
}

const Dict& dict_of(const Value& value, std::string_view what) {
  if (defined(value).as_dict() == nullptr) {
    fault("{}: expected a dict, got {}", what, value.type_name());
  }
  return *value.as_dict();
}

Value dictsort(Render& render, const Value& input, Arguments arguments) {
  const Bound args("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = args.text(1, "key");
  if (by != "key" && by != "value") {
    fault("dictsort: by '{}': expected key or value", excerpt(by));
  }
  std::vector<Keyed> items;
  for (const auto& [key, value] : dict_of(input, "dictsort").entries()) {
    const Value& chosen = by == "key" ? key : value;
    items.push_back(
        {{folded(chosen, args.truth(0, false), render.budget)}, Value::tuple({key, value})});
  }
  sort_by_keys(items, args.truth(2, false), render.budget);
  std::vector<Value> result;
  for (Keyed& keyed : items) {
    result.push_back(std::move(keyed.value));
  }
  return Value::list(std::move(result));
}

Value items_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("items", arguments, {});
  std::vector<Value> items;
  if (!input.is_undefined()) {
    for (const auto& [key, value] : dict_of(input, "items").entries()) {
      render.budget.charge();
      items.push_back(Value::tuple({key, value}));
    }
  }
  return generator(std::move(items));
}

Value unique(Render& render, const Value& input, Arguments arguments) {
  const Bound args("unique", arguments, {"case_sensitive", "attribute"});
  const Getter getter = args.some(1) ? Getter(args[1]) : Getter();
  std::set<std::string> seen;
  std::vector<Value> result;
  for (const Value& value : iterate(input, render.budget)) {
    const Value key = folded(getter(value, render.budget), args.truth(0, false), render.budget);
    if (seen.insert(key_of(key)).second) {
      result.push_back(value);
    }
  }
  return generator(std::move(result));
}

Value extreme(Render& render, const Value& input, Arguments arguments, bool greatest) {
  const Bound args(greatest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const Getter getter = args.some(1) ? Getter(args[1]) : Getter();
  const auto items = iterate(input, render.budget);
  const Value* best = nullptr;
  Value best_key;
  for (const Value& value : items) {
    Value key = folded(getter(value, render.budget), args.truth(0, false), render.budget);
    if (best == nullptr ||
        (greatest ? less(best_key, key, render.budget) : less(key, best_key, render.budget))) {
      best = &value;
      best_key = std::move(key);
    }
  }
  return best != nullptr ? *best : Value::undefined("No aggregated item, sequence was empty.");
}

Value sum(Render& render, const Value& input, Arguments arguments) {
  const Bound args("sum", arguments, {"attribute", "start"});
  const Getter getter = args.some(0) ? Getter(args[0]) : Getter();
  Value total = args.given(1) ? args[1] : Value(int64_t{0});
  if (total.as_text() != nullptr) {
    fault("sum: texts are joined by the filter join");
  }
  for (const Value& value : iterate(input, render.budget)) {
    total = add(total, getter(value, render.budget), render.budget);
  }
  return total;
}

// The arguments behind the first `used`.
CallArguments behind(Arguments arguments, size_t used) {
  CallArguments result;
  result.positional.assign(arguments.positional.begin() + static_cast<ptrdiff_t>(used),
                           arguments.positional.end());
  result.named = arguments.named;
  return result;
}

// What map and select go through: nothing if the value is false, whatever it is.
std::vector<Value> iterate_if_true(const Value& input, Budget& budget) {
  return input.truth() ? iterate(input, budget) : std::vector<Value>();
}

Value map(Render& render, const Value& input, Arguments arguments) {
  std::vector<Value> result;
  if (arguments.positional.empty()) {
    const Bound args("map", arguments, {"attribute", "default"}, 1);
    const Getter getter(args[0]);
    for (const Value& value : iterate_if_true(input, render.budget)) {
      Value found = getter(value, render.budget);
      if (found.is_undefined() && args.some(1)) {
        found = args[1];
      }
      result.push_back(std::move(found));
    }
    return generator(std::move(result));
  }
  const std::string& name = text_of(arguments.positional[0], "map: filter");
  const Filter filter = find_filter(name);
  if (filter == nullptr) {
    fault("map: filter '{}' is not supported", excerpt(name));
  }
  const CallArguments rest = behind(arguments, 1);
  for (const Value& value : iterate_if_true(input, render.budget)) {
    result.push_back(filter(render, value, rest));
  }
  return generator(std::move(result));
}

// Keeps the items, or those whose attribute, for which the test holds; without a test, truth.
Value select(Render& render, const Value& input, Arguments arguments, bool by_attribute,
             bool wanted) {
  Getter getter;
  size_t used = 0;
  if (by_attribute) {
    if (arguments.positional.empty()) {
      fault("selectattr: expected the name of an attribute");
    }
    getter = Getter(arguments.positional[used++]);
  }
  Test test = nullptr;
  if (arguments.positional.size() > used) {
    const std::string& name = text_of(arguments.positional[used++], "select: test");
    test = find_test(name);
    if (test == nullptr) {
      fault("select: test '{}' is not supported", excerpt(name));
    }
  }
  const CallArguments rest = behind(arguments, used);
  std::vector<Value> result;
  for (const Value& value : iterate_if_true(input, render.budget)) {
    const Value tested = getter(value, render.budget);
    if ((test != nullptr ? test(render, tested, rest) : tested.truth()) == wanted) {
      result.push_back(value);
    }
  }
  return generator(std::move(result));
}

constexpr std::array filters = std::to_array<NamedFilter>({
    {"count", length_filter},
    {"dictsort", dictsort},
    {"first", first},
    {"items", items_filter},
    {"join", join},
    {"last", last},
    {"length", length_filter},
    {"list", list_filter},
    {"map", map},
    {"max", [](Render& r, const Value& v, Arguments a) { return extreme(r, v, a, true); }},
    {"min", [](Render& r, const Value& v, Arguments a) { return extreme(r, v, a, false); }},
    {"reject",
     [](Render& r, const Value& v, Arguments a) { return select(r, v, a, false, false); }},
    {"rejectattr",
     [](Render& r, const Value& v, Arguments a) { return select(r, v, a, true, false); }},
    {"reverse", reverse},
    {"select", [](Render& r, const Value& v, Arguments a) { return select(r, v, a, false, true); }},
    {"selectattr",
     [](Render& r, const Value& v, Arguments a) { return select(r, v, a, true, true); }},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
});

}  // namespace

std::span<const NamedFilter> list_filters() {
  return filters;
}

}  // namespace sambay::jinja
