// Values as text: Python's str() and repr(), and JSON.
#pragma once

#include <string>

#include "text/jinja/value.h"

namespace sambay::jinja {

// Throws Fault for what has no text (a generator, a function) or when the budget is spent.
std::string to_text(const Value& value, Budget& budget);
std::string to_repr(const Value& value, Budget& budget);

// json.dumps of Python.
struct JsonStyle {
  bool ascii = false;                 // other characters as \uXXXX
  std::optional<std::string> indent;  // of each level, on lines of their own; else all on one line
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
// Throws Fault also for what JSON does not have (undefined, a generator...).
std::string to_json(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace sambay::jinja
