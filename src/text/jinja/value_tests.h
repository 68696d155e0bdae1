// Tests: {{ value is name(arguments) }}.
#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace sambay::jinja {

using Test = bool (*)(Render& render, const Value& input, const CallArguments& arguments);

// Null if the test is not supported.
Test find_test(std::string_view name);

}  // namespace sambay::jinja
