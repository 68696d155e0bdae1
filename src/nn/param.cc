#include "nn/param.h"

namespace sambay {

Param& ParamStore::add(std::string name, Shape shape, Role role, Init init) {
  check(find(name) == nullptr, "a parameter's name is new");
  Param& param = params_.emplace_back(Param{std::move(name), shape, role, init, {}});
  by_name_.emplace(param.name, &param);
  return param;
}

Param* ParamStore::find(std::string_view name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

const Param* ParamStore::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

int64_t ParamStore::elements() const {
  int64_t total = 0;
  for (const auto& param : params_) {
    total += param.shape.elements();
  }
  return total;
}

ParamScope ParamScope::child(std::string_view name) const {
  return {*store_, prefix_.empty() ? std::string(name) : fmt::format("{}.{}", prefix_, name)};
}

Param& ParamScope::add(std::string_view name, Shape shape, Role role, Init init) const {
  return store_->add(fmt::format("{}.{}", prefix_, name), shape, role, init);
}

}  // namespace sambay
