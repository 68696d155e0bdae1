// The arguments of a call, bound to the names of parameters as Python does.
#pragma once

#include <initializer_list>
#include <string_view>

#include "text/jinja/value.h"

namespace sambay::jinja {

class Bound {
 public:
  // Throws Fault naming the function if there are too many arguments, an unknown or a double one,
  // or one of the first `required` is missing.
  Bound(std::string_view function, const CallArguments& arguments,
        std::initializer_list<std::string_view> parameters, size_t required = 0);
  // The values are not copied.
  Bound(std::string_view function, CallArguments&& arguments,
        std::initializer_list<std::string_view> parameters, size_t required = 0) = delete;

  bool given(size_t i) const { return values_[i] != nullptr; }
  // Given and not none.
  bool some(size_t i) const { return given(i) && !values_[i]->is_none(); }
  const Value& operator[](size_t i) const { return *values_[i]; }
  // Throw Fault naming function and parameter if the argument is of another type.
  bool truth(size_t i, bool otherwise) const { return given(i) ? values_[i]->truth() : otherwise; }
  int64_t integer(size_t i, int64_t otherwise) const;
  const std::string& text(size_t i) const;
  std::string text(size_t i, std::string_view otherwise) const;
  std::string what(size_t i) const;

 private:
  std::string_view function_;
  std::vector<std::string_view> parameters_;
  std::vector<const Value*> values_;
};

}  // namespace sambay::jinja
