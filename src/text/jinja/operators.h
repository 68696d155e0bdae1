// Python's operators on values. All throw Fault where Python raises an exception, and when the
// budget is spent.
#pragma once

#include <compare>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace sambay::jinja {

Value add(const Value& a, const Value& b, Budget& budget);
Value subtract(const Value& a, const Value& b);
Value multiply(const Value& a, const Value& b, Budget& budget);
Value divide(const Value& a, const Value& b);
Value floor_divide(const Value& a, const Value& b);
Value modulo(const Value& a, const Value& b);
Value power(const Value& a, const Value& b);
Value negate(const Value& a);
Value plus(const Value& a);

bool equal(const Value& a, const Value& b, Budget& budget);
// Of numbers, texts, lists and tuples; unordered where a number is NaN.
std::partial_ordering order(const Value& a, const Value& b, Budget& budget);
bool less(const Value& a, const Value& b, Budget& budget);
// item in container
bool contains(const Value& container, const Value& item, Budget& budget);

// What `for` goes through: items, keys of a dict, characters of a text; nothing for undefined. A
// generator's items are gone then.
std::vector<Value> iterate(const Value& value, Budget& budget);
int64_t length(const Value& value, Budget& budget);

// Throws Fault if the value is undefined; else it is the value.
const Value& defined(const Value& value);
// The bytes of a text. Throws Fault if it is none, or marked safe: joining those escapes others.
const std::string& text_of(const Value& value, std::string_view what);
int64_t integer_of(const Value& value, std::string_view what);

}  // namespace sambay::jinja
