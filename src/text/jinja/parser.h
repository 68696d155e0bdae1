// A template's source to statements.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"

namespace sambay::jinja {

// Throws Fault with the line of what cannot be read or is not supported.
Body parse(std::string_view source);

}  // namespace sambay::jinja
