// The methods of str, dict, list and tuple that templates use.
#include <algorithm>
#include <array>
#include <utility>

#include "text/jinja/access.h"
#include "text/jinja/arguments.h"
#include "text/jinja/operators.h"
#include "text/jinja/python_text.h"
#include "text/jinja/render.h"
#include "text/unicode_case.h"

namespace sambay::jinja {
namespace {

using Arguments = const CallArguments&;

// The text, paid for.
const std::string& self_text(Render& render, const Value& self) {
  const std::string& text = text_of(self, "method");
  render.budget.charge_bytes(text.size());
  return text;
}

Value strip_text(Render& render, const Value& self, Arguments arguments, Ends ends) {
  const Bound args("strip", arguments, {"chars"});
  const std::string& text = self_text(render, self);
  if (!args.some(0)) {
    return Value::text(strip(text, ends));
  }
  render.budget.charge(static_cast<int64_t>(args.text(0).size()) *
                       static_cast<int64_t>(1 + text.size() / 16));
  return Value::text(strip(text, args.text(0), ends));
}

Value split_text(Render& render, const Value& self, Arguments arguments, bool from_right) {
  const Bound args("split", arguments, {"sep", "maxsplit"});
  const std::string& text = self_text(render, self);
  const int64_t most = args.integer(1, -1);
  render.budget.charge_elements(text.size());
  std::vector<std::string_view> parts;
  if (!args.some(0)) {
    parts = split(text, most, from_right);
  } else {
    const std::string& separator = args.text(0);
    if (separator.empty()) {
      fault("split: empty separator");
    }
    if (from_right) {
      render.budget.charge(static_cast<int64_t>(separator.size()) *
                           static_cast<int64_t>(1 + text.size() / 16));
    }
    parts = split(text, separator, most, from_right);
  }
  std::vector<Value> items;
  for (const auto part : parts) {
    items.push_back(Value::text(part));
  }
  return Value::list(std::move(items));
}

Value split_text_lines(Render& render, const Value& self, Arguments arguments) {
  const Bound args("splitlines", arguments, {"keepends"});
  const std::string& text = self_text(render, self);
  render.budget.charge_elements(text.size());
  std::vector<Value> items;
  for (const auto line : split_lines(text, args.truth(0, false))) {
    items.push_back(Value::text(line));
  }
  return Value::list(std::move(items));
}

// A text, or a tuple of texts of which one will do.
Value matches_end(Render& render, const Value& self, Arguments arguments, bool at_begin) {
  const Bound args(at_begin ? "startswith" : "endswith", arguments, {"prefix"}, 1);
  const std::string& text = self_text(render, self);
  const auto matches = [&](const Value& part) {
    const std::string& bytes = text_of(part, args.what(0));
    return at_begin ? text.starts_with(bytes) : text.ends_with(bytes);
  };
  const Sequence* parts = args[0].as_sequence();
  if (parts == nullptr || parts->kind != SequenceKind::tuple) {
    return matches(args[0]);
  }
  render.budget.charge_elements(parts->items.size());
  return std::any_of(parts->items.begin(), parts->items.end(), matches);
}

Value without_end(Render& render, const Value& self, Arguments arguments, bool at_begin) {
  const Bound args(at_begin ? "removeprefix" : "removesuffix", arguments, {"part"}, 1);
  std::string_view text = self_text(render, self);
  const std::string& part = args.text(0);
  if (at_begin && text.starts_with(part)) {
    text.remove_prefix(part.size());
  } else if (!at_begin && text.ends_with(part)) {
    text.remove_suffix(part.size());
  }
  return Value::text(text);
}

Value replace_text(Render& render, const Value& self, Arguments arguments) {
  const Bound args("replace", arguments, {"old", "new", "count"}, 2);
  return replaced(self_text(render, self), args.text(0), args.text(1), args.integer(2, -1),
                  render.budget);
}

Value join_texts(Render& render, const Value& self, Arguments arguments) {
  const Bound args("join", arguments, {"iterable"}, 1);
  const std::string& separator = self_text(render, self);
  std::string result;
  bool first = true;
  for (const Value& part : iterate(args[0], render.budget)) {
    result += std::exchange(first, false) ? "" : separator;
    result += text_of(part, "join");
    render.budget.charge_bytes(separator.size() + part.as_text()->bytes->size());
  }
  return result;
}

template <std::string (*function)(std::string_view)>
Value convert_text(Render& render, const Value& self, Arguments arguments) {
  const Bound args("method", arguments, {});
  const std::string& text = self_text(render, self);
  render.budget.charge_elements(text.size());
  return function(text);
}

Value find_text(Render& render, const Value& self, Arguments arguments, bool must_be) {
  const Bound args("find", arguments, {"sub"}, 1);
  const std::string_view text = self_text(render, self);
  const size_t at = find(text, args.text(0));
  if (at == text.npos && must_be) {
    fault("index: substring not found");
  }
  return at == text.npos ? -1 : length_of(text.substr(0, at));
}

Value count_text(Render& render, const Value& self, Arguments arguments) {
  const Bound args("count", arguments, {"sub"}, 1);
  return count(self_text(render, self), args.text(0));
}

Value is_all_space(Render& render, const Value& self, Arguments arguments) {
  const Bound args("isspace", arguments, {});
  const std::string& text = self_text(render, self);
  return !text.empty() && strip(text).empty();
}

struct Named {
  std::string_view name;
  Method method;
};

constexpr std::array text_methods = std::to_array<Named>({
    {"capitalize", convert_text<to_capitalized>},
    {"count", count_text},
    {"endswith",
     [](Render& r, const Value& s, Arguments a) { return matches_end(r, s, a, false); }},
    {"find", [](Render& r, const Value& s, Arguments a) { return find_text(r, s, a, false); }},
    {"index", [](Render& r, const Value& s, Arguments a) { return find_text(r, s, a, true); }},
    {"isspace", is_all_space},
    {"join", join_texts},
    {"lower", convert_text<to_lower>},
    {"lstrip",
     [](Render& r, const Value& s, Arguments a) { return strip_text(r, s, a, Ends::left); }},
    {"removeprefix",
     [](Render& r, const Value& s, Arguments a) { return without_end(r, s, a, true); }},
    {"removesuffix",
     [](Render& r, const Value& s, Arguments a) { return without_end(r, s, a, false); }},
    {"replace", replace_text},
    {"rsplit", [](Render& r, const Value& s, Arguments a) { return split_text(r, s, a, true); }},
    {"rstrip",
     [](Render& r, const Value& s, Arguments a) { return strip_text(r, s, a, Ends::right); }},
    {"split", [](Render& r, const Value& s, Arguments a) { return split_text(r, s, a, false); }},
    {"splitlines", split_text_lines},
    {"startswith",
     [](Render& r, const Value& s, Arguments a) { return matches_end(r, s, a, true); }},
    {"strip",
     [](Render& r, const Value& s, Arguments a) { return strip_text(r, s, a, Ends::both); }},
    {"title", convert_text<to_title>},
    {"upper", convert_text<to_upper>},
});

Value view(Render& render, const Value& self, Arguments arguments, SequenceKind kind) {
  const Bound args("method", arguments, {});
  std::vector<Value> items;
  const auto& entries = self.as_dict()->entries();
  render.budget.charge_elements(entries.size());
  for (const auto& [key, value] : entries) {
    items.push_back(kind == SequenceKind::keys     ? key
                    : kind == SequenceKind::values ? value
                                                   : Value::tuple({key, value}));
  }
  return std::make_shared<const Sequence>(std::move(items), kind);
}

Value get(Render&, const Value& self, Arguments arguments) {
  const Bound args("get", arguments, {"key", "default"}, 1);
  const Value* found = self.as_dict()->find(args[0]);
  return found != nullptr ? *found : args.given(1) ? args[1] : Value();
}

constexpr std::array dict_methods = std::to_array<Named>({
    {"copy", [](Render&, const Value& self, Arguments) { return self; }},
    {"get", get},
    {"items",
     [](Render& r, const Value& s, Arguments a) { return view(r, s, a, SequenceKind::items); }},
    {"keys",
     [](Render& r, const Value& s, Arguments a) { return view(r, s, a, SequenceKind::keys); }},
    {"values",
     [](Render& r, const Value& s, Arguments a) { return view(r, s, a, SequenceKind::values); }},
});

Value count_items(Render& render, const Value& self, Arguments arguments) {
  const Bound args("count", arguments, {"value"}, 1);
  const auto& items = self.as_sequence()->items;
  return static_cast<int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& item) {
    return equal(item, args[0], render.budget);
  }));
}

Value index_of_item(Render& render, const Value& self, Arguments arguments) {
  const Bound args("index", arguments, {"value"}, 1);
  const auto& items = self.as_sequence()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(items[i], args[0], render.budget)) {
      return static_cast<int64_t>(i);
    }
  }
  fault("index: the value is not in the {}", self.type_name());
}

constexpr std::array list_methods =
    std::to_array<Named>({{"count", count_items}, {"index", index_of_item}});

template <size_t count>
Method find_in(const std::array<Named, count>& methods, std::string_view name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [name](const Named& named) { return named.name == name; });
  return found == methods.end() ? nullptr : found->method;
}

}  // namespace

Method find_text_method(std::string_view name) {
  return find_in(text_methods, name);
}

Method find_container_method(const Value& value, std::string_view name) {
  if (value.as_dict() != nullptr) {
    return find_in(dict_methods, name);
  }
  const Sequence* sequence = value.as_sequence();
  return sequence != nullptr && sequence->kind <= SequenceKind::tuple ? find_in(list_methods, name)
                                                                      : nullptr;
}

Value replaced(const std::string& text, const std::string& from, const std::string& to,
               int64_t most, Budget& budget) {
  budget.charge_bytes(text.size());
  int64_t times = count(text, from);
  times = most < 0 ? times : std::min(times, most);
  budget.charge_elements(static_cast<size_t>(times));
  int64_t bytes = 0;
  if (__builtin_mul_overflow(times, static_cast<int64_t>(to.size()), &bytes)) {
    bytes = INT64_MAX;
  }
  budget.charge_bytes(static_cast<size_t>(bytes));
  return replace(text, from, to, most);
}

}  // namespace sambay::jinja
