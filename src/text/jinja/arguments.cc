#include "text/jinja/arguments.h"

#include <algorithm>

#include "text/jinja/operators.h"

namespace sambay::jinja {

Bound::Bound(std::string_view function, const CallArguments& arguments,
             std::initializer_list<std::string_view> parameters, size_t required)
    : function_(function), parameters_(parameters), values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > values_.size()) {
    fault("{}: expected at most {} arguments, got {}", function, values_.size(),
          arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters_.begin(), parameters_.end(), name);
    if (found == parameters_.end()) {
      fault("{}: no argument '{}'", function, excerpt(name));
    }
    const Value*& place = values_[static_cast<size_t>(found - parameters_.begin())];
    if (place != nullptr) {
      fault("{}: argument '{}' is given twice", function, name);
    }
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given(i)) {
      fault("{}: argument '{}' is missing", function, parameters_[i]);
    }
  }
}

int64_t Bound::integer(size_t i, int64_t otherwise) const {
  return given(i) ? integer_of(*values_[i], what(i)) : otherwise;
}

const std::string& Bound::text(size_t i) const {
  return text_of(*values_[i], what(i));
}

std::string Bound::text(size_t i, std::string_view otherwise) const {
  return given(i) ? text(i) : std::string(otherwise);
}

std::string Bound::what(size_t i) const {
  return fmt::format("{}: {}", function_, parameters_[i]);
}

}  // namespace sambay::jinja
