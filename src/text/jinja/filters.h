// Filters: {{ value | name(arguments) }}.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/value.h"

namespace sambay::jinja {

using Filter = Value (*)(Render& render, const Value& input, const CallArguments& arguments);

// Null if the filter is not supported.
Filter find_filter(std::string_view name);

struct NamedFilter {
  std::string_view name;
  Filter filter;
};
// Those that make text or numbers of values, and those on lists and dicts.
std::span<const NamedFilter> scalar_filters();
std::span<const NamedFilter> list_filters();

}  // namespace sambay::jinja
