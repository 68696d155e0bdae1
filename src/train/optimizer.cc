#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"

namespace sambay {
namespace {

void cast(const Tensor& from, const Tensor& to) {
  const Shape flat = {from.elements() / from.dim(-1), from.dim(-1)};
  ops::scale_cast(from.reshape(flat), 1, to.reshape(flat));
}

void copy_in(const Safetensors& file, const std::string& name, const Tensor& to) {
  const Tensor from = file.get(name);
  if (!(from.shape() == to.shape()) || from.dtype() != to.dtype()) {
    fail(file.where(), "{}: expected {} {}, got {} {}", name, sambay::name(to.dtype()),
         to.shape().text(), sambay::name(from.dtype()), from.shape().text());
  }
  to.copy_from(from);
}

void expect_no_others(const Safetensors& file, const std::vector<NamedTensor>& known) {
  if (file.names().size() == known.size()) {
    return;
  }
  for (const auto& name : file.names()) {
    const auto same = [&](const NamedTensor& tensor) { return tensor.name == name; };
    if (std::none_of(known.begin(), known.end(), same)) {
      fail(file.where(), "{}: the model has no such tensor", name);
    }
  }
}

}  // namespace

Optimizer::Optimizer(ParamStore& params, const Recipe& recipe, Arena& arena)
    : recipe_(recipe.optimizer) {
  const DType accum = recipe.precision.accum;
  for (Param& param : params.all()) {
    check(param.weight.value.dtype() == accum, "masters are in the accumulation dtype");
    check(param.weight.gradient.defined(), "a parameter that is trained has a gradient");
    Entry entry{
        &param, param_group(param.role, recipe.scaling(), recipe.optimizer.weight_decay), {}};
    entry.tensors.master = param.weight.value;
    entry.tensors.gradient = param.weight.gradient;
    entry.tensors.m = Tensor::zeros(param.shape, accum, arena);
    entry.tensors.v = Tensor::zeros(param.shape, accum, arena);
    if (param.dtype(recipe.precision) != accum) {
      entry.tensors.compute = Tensor::empty(param.shape, param.dtype(recipe.precision), arena);
      cast(entry.tensors.master, entry.tensors.compute);
      param.weight.value = entry.tensors.compute;
    }
    entries_.push_back(std::move(entry));
  }
}

double Optimizer::step(const Rate& rate) {
  double squares = 0;
  for (const Entry& entry : entries_) {
    squares += ops::sum_of_squares(entry.tensors.gradient);
  }
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm)) {
    return norm;
  }
  ++steps_;
  const bool clipped = recipe_.clip > 0 && norm > recipe_.clip;
  for (const Entry& entry : entries_) {
    const double learning_rate = rate.learning_rate * entry.group.learning_rate;
    // The independent decay divides by eta and the group's multiplier (spec section 11), which
    // leaves the schedule alone.
    const double factor = recipe_.independent_decay ? rate.schedule : learning_rate;
    ops::adamw(entry.tensors, {.learning_rate = learning_rate,
                               .decay = factor * entry.group.weight_decay,
                               .beta1 = recipe_.beta1,
                               .beta2 = recipe_.beta2,
                               .epsilon = recipe_.epsilon,
                               .gradient_scale = clipped ? recipe_.clip / norm : 1,
                               .step = steps_});
  }
  return norm;
}

std::vector<NamedTensor> Optimizer::masters() const {
  std::vector<NamedTensor> out;
  for (const Entry& entry : entries_) {
    out.push_back({entry.param->name, entry.tensors.master});
  }
  return out;
}

std::vector<NamedTensor> Optimizer::moments() const {
  std::vector<NamedTensor> out;
  for (const Entry& entry : entries_) {
    out.push_back({"m." + entry.param->name, entry.tensors.m});
    out.push_back({"v." + entry.param->name, entry.tensors.v});
  }
  return out;
}

void Optimizer::restore(const Safetensors& master_file, const Safetensors& moment_file,
                        int64_t steps) {
  for (const auto& [name, tensor] : masters()) {
    copy_in(master_file, name, tensor);
  }
  for (const auto& [name, tensor] : moments()) {
    copy_in(moment_file, name, tensor);
  }
  expect_no_others(master_file, masters());
  expect_no_others(moment_file, moments());
  for (const Entry& entry : entries_) {
    if (entry.tensors.compute.defined()) {
      cast(entry.tensors.master, entry.tensors.compute);
    }
  }
  steps_ = steps;
}

}  // namespace sambay
