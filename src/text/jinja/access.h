// Attributes, items and slices, and the methods of Python's types.
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace sambay::jinja {

// value.name: a method, else an item. Undefined if there is neither; throws Fault if the value is
// undefined or the name is an attribute of Python's that is not supported.
Value attribute(const Value& value, std::string_view name);
// value[index]: an item, else a method.
Value item(const Value& value, const Value& index, Budget& budget);

struct SliceBounds {
  std::optional<int64_t> begin, end, step;
};
Value slice(const Value& value, const SliceBounds& bounds, Budget& budget);

// The undefined value that stands for a missing attribute or item.
Value missing(const Value& of, const Value& index);

// The methods of a type; null if it has none of that name.
using Method = Value (*)(Render& render, const Value& self, const CallArguments& arguments);
Method find_text_method(std::string_view name);
Method find_container_method(const Value& value, std::string_view name);
// str.replace and the filter of that name; pays for its result in advance.
Value replaced(const std::string& text, const std::string& from, const std::string& to,
               int64_t most, Budget& budget);

}  // namespace sambay::jinja
