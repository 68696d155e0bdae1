// The functions and objects that every template finds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace sambay::jinja {

// namespace(): the one thing whose attributes a template may set.
class Namespace : public Object {
 public:
  std::string type_name() const override { return "namespace"; }
  std::optional<Value> attribute(std::string_view name) override;

  std::map<std::string, Value, std::less<>> attributes;
};

// range, dict, namespace, raise_exception, strftime_now; null if there is no such function.
ObjectPtr find_function(std::string_view name);

// An object of one function.
using Function = Value (*)(Render& render, const CallArguments& arguments);
ObjectPtr make_function(Function function);

}  // namespace sambay::jinja
