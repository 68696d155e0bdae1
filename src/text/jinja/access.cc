#include "text/jinja/access.h"

#include <algorithm>
#include <array>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/python_text.h"

namespace sambay::jinja {
namespace {

class BoundMethod : public Object {
 public:
  BoundMethod(Value self, Method method) : self_(std::move(self)), method_(method) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Render& render, const CallArguments& arguments) override {
    return method_(render, self_, arguments);
  }
  int32_t depth() const override { return self_.depth(); }

 private:
  Value self_;
  Method method_;
};

// What Python has and templates may not or need not use.
bool is_unsupported_method(const Value& value, std::string_view name) {
  constexpr std::array text_methods = {
      "casefold",  "center",    "encode",      "expandtabs", "format",     "format_map",
      "isalnum",   "isalpha",   "isascii",     "isdecimal",  "isdigit",    "isidentifier",
      "islower",   "isnumeric", "isprintable", "istitle",    "isupper",    "ljust",
      "maketrans", "partition", "rindex",      "rjust",      "rpartition", "swapcase",
      "translate", "zfill"};
  constexpr std::array dict_methods = {"clear",   "fromkeys",   "pop",
                                       "popitem", "setdefault", "update"};
  constexpr std::array list_methods = {"append", "clear",  "copy",    "extend", "insert",
                                       "pop",    "remove", "reverse", "sort"};
  const auto is_in = [name](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const Sequence* sequence = value.as_sequence();
  return (value.as_text() != nullptr && is_in(text_methods)) ||
         (value.as_dict() != nullptr && is_in(dict_methods)) ||
         (sequence != nullptr && sequence->kind == SequenceKind::list && is_in(list_methods));
}

// A method, or an attribute of an object; nothing if there is none.
std::optional<Value> member(const Value& value, std::string_view name) {
  if (Object* object = value.as_object()) {
    return object->attribute(name);
  }
  if (is_unsupported_method(value, name) || name.starts_with("__")) {
    fault("attribute '{}' of '{}' is not supported", excerpt(name), value.type_name());
  }
  const Method method =
      value.as_text() != nullptr ? find_text_method(name) : find_container_method(value, name);
  if (method == nullptr) {
    return {};
  }
  return ObjectPtr(std::make_shared<BoundMethod>(value, method));
}

std::optional<size_t> place(int64_t index, size_t count) {
  const int64_t at = index < 0 ? index + static_cast<int64_t>(count) : index;
  return at < 0 || at >= static_cast<int64_t>(count) ? std::nullopt
                                                     : std::optional(static_cast<size_t>(at));
}

std::optional<Value> element(const Value& value, const Value& index, Budget& budget) {
  if (const Dict* dict = value.as_dict()) {
    const Value* found = index.is_undefined() ? nullptr : dict->find(index);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  const auto integer = index.as_integer();
  if (!integer) {
    return {};
  }
  if (const Text* text = value.as_text()) {
    budget.charge_elements(text->bytes->size());
    const auto letters = characters(*text->bytes);
    const auto at = place(*integer, letters.size());
    return at ? std::optional(Value::text(letters[*at])) : std::nullopt;
  }
  const Sequence* sequence = value.as_sequence();
  if (sequence == nullptr || !sequence->indexable()) {
    return {};
  }
  const auto at = place(*integer, sequence->items.size());
  return at ? std::optional(sequence->items[*at]) : std::nullopt;
}

// The indices of Python's slice, in order.
std::vector<size_t> indices(const SliceBounds& bounds, size_t count) {
  const auto n = static_cast<int64_t>(count);
  const int64_t step = bounds.step.value_or(1);
  if (step == 0) {
    fault("slice step cannot be zero");
  }
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto clamped = [&](std::optional<int64_t> bound, int64_t otherwise) {
    if (!bound) {
      return otherwise;
    }
    return std::clamp(*bound < 0 ? *bound + n : *bound, low, high);
  };
  const int64_t begin = clamped(bounds.begin, step > 0 ? low : high);
  const int64_t end = clamped(bounds.end, step > 0 ? high : low);
  std::vector<size_t> result;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    result.push_back(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, step, &i)) {
      break;
    }
  }
  return result;
}

}  // namespace

Value missing(const Value& of, const Value& index) {
  const std::string type = of.is_none() ? "None" : of.type_name() + " object";
  if (const Text* name = index.as_text()) {
    return Value::undefined(fmt::format("'{}' has no attribute '{}'", type, excerpt(*name->bytes)));
  }
  if (const auto integer = index.as_integer()) {
    return Value::undefined(fmt::format("'{}' has no element {}", type, *integer));
  }
  return Value::undefined(fmt::format("'{}' has no such element", type));
}

Value attribute(const Value& value, std::string_view name) {
  defined(value);
  if (const Dict* dict = value.as_dict()) {
    const Value* found = dict->find(name);
    if (found != nullptr && find_container_method(value, name) == nullptr &&
        !is_unsupported_method(value, name)) {
      return *found;
    }
  }
  auto found = member(value, name);
  return found ? std::move(*found) : missing(value, Value::text(name));
}

Value item(const Value& value, const Value& index, Budget& budget) {
  if (auto found = element(defined(value), index, budget)) {
    return std::move(*found);
  }
  if (const Text* name = index.as_text()) {
    if (auto found = member(value, *name->bytes)) {
      return std::move(*found);
    }
  }
  return missing(value, index);
}

Value slice(const Value& value, const SliceBounds& bounds, Budget& budget) {
  if (const Text* text = defined(value).as_text()) {
    budget.charge_elements(text->bytes->size());
    const auto letters = characters(*text->bytes);
    std::string result;
    for (const size_t i : indices(bounds, letters.size())) {
      result += letters[i];
    }
    return result;
  }
  const Sequence* sequence = value.as_sequence();
  if (sequence == nullptr || !sequence->indexable()) {
    fault("'{}' object has no slices", value.type_name());
  }
  budget.charge_elements(sequence->items.size());
  std::vector<Value> items;
  for (const size_t i : indices(bounds, sequence->items.size())) {
    items.push_back(sequence->items[i]);
  }
  return std::make_shared<const Sequence>(std::move(items), sequence->kind);
}

}  // namespace sambay::jinja
