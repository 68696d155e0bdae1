#include "autograd/tape.h"

#include "ops/elementwise.h"

namespace sambay {

int32_t Tape::add_slot(const Tensor& value) {
  Slot& added = slots_.emplace_back();
  added.shape = value.shape();
  added.dtype = value.dtype();
  return static_cast<int32_t>(slots_.size()) - 1;
}

Var Tape::leaf(const Tensor& value) {
  Var out = track(value);
  slot(out.slot).is_leaf = true;
  return out;
}

Var Tape::track(const Tensor& value) {
  return {value, add_slot(value)};
}

std::vector<Var> Tape::split_last(const Var& x, std::span<const int64_t> sizes) {
  check(slot(x.slot).parts == 0, "a value is split once");
  slot(x.slot).first_part = static_cast<int32_t>(slots_.size());
  slot(x.slot).parts = static_cast<int32_t>(sizes.size());
  std::vector<Var> parts;
  parts.reserve(sizes.size());
  int64_t column = 0;
  for (const int64_t size : sizes) {
    Var part = track(x.value.slice(x.value.rank() - 1, column, column + size));
    slot(part.slot).parent = x.slot;
    slot(part.slot).first_column = column;
    parts.push_back(std::move(part));
    column += size;
  }
  check(column == x.value.dim(-1), "the parts cover the last dimension");
  return parts;
}

void Tape::record(std::initializer_list<Var> outputs, std::function<void()> backward) {
  record(std::span<const Var>(outputs.begin(), outputs.size()), std::move(backward));
}

void Tape::record(std::span<const Var> outputs, std::function<void()> backward) {
  nodes_.push_back({outputs_.size(), std::move(backward)});
  for (const Var& output : outputs) {
    if (output.tracked()) {
      outputs_.push_back(output.slot);
    }
  }
}

bool Tape::slot_received(int32_t index) const {
  const Slot& s = slot(index);
  if (s.filled) {
    return true;
  }
  for (int32_t i = 0; i < s.parts; ++i) {
    if (slot_received(s.first_part + i)) {
      return true;
    }
  }
  return false;
}

bool Tape::received(const Var& var) const {
  return var.tracked() && slot_received(var.slot);
}

const Tensor& Tape::buffer(int32_t index) {
  Slot& s = slot(index);
  if (!s.gradient.defined()) {
    if (s.parent >= 0) {
      const Tensor& whole = buffer(s.parent);
      s.gradient = whole.slice(whole.rank() - 1, s.first_column, s.first_column + s.shape[-1]);
    } else {
      s.gradient = Tensor::empty(s.shape, s.dtype, *arena_);
    }
  }
  return s.gradient;
}

void Tape::zero_missing_parts(int32_t index) {
  const Slot& s = slot(index);
  for (int32_t part = s.first_part; part < s.first_part + s.parts; ++part) {
    if (slot_received(part)) {
      zero_missing_parts(part);
    } else {
      buffer(part).zero();
    }
  }
}

Tensor Tape::gradient(const Var& output) {
  if (!received(output)) {
    return Tensor::zeros(slot(output.slot).shape, slot(output.slot).dtype, *arena_);
  }
  zero_missing_parts(output.slot);
  return buffer(output.slot);
}

GradientTarget Tape::target(const Var& input) {
  check(input.tracked(), "only a tracked input has a gradient");
  Slot& s = slot(input.slot);
  check(s.parts == 0, "a value that was split has no other consumer");
  const bool accumulate = s.filled;
  s.filled = true;
  return {buffer(input.slot), accumulate};
}

void Tape::accumulate(const Var& input, const Tensor& gradient) {
  Slot& s = slot(input.slot);
  check(gradient.shape() == s.shape && gradient.dtype() == s.dtype,
        "a gradient has its value's shape and dtype");
  if (!s.filled && s.parent < 0 && s.parts == 0) {
    s.gradient = gradient;
    s.filled = true;
    return;
  }
  const GradientTarget to = target(input);
  if (to.accumulate) {
    ops::add_scaled(to.buffer, gradient, 1.0F, to.buffer);
  } else {
    to.buffer.copy_from(gradient);
  }
}

void Tape::release(int32_t index) {
  Slot& s = slot(index);
  if (s.is_leaf) {
    return;
  }
  s.gradient = {};
  s.filled = false;
  for (int32_t part = s.first_part; part < s.first_part + s.parts; ++part) {
    release(part);
  }
}

void Tape::run() {
  while (!nodes_.empty()) {
    // Moved out, so that what the closure saved is released before the next one runs.
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    bool wanted = false;
    for (size_t i = node.first_output; i < outputs_.size(); ++i) {
      wanted = wanted || slot_received(outputs_[i]);
    }
    if (wanted) {
      node.backward();
    }
    for (size_t i = node.first_output; i < outputs_.size(); ++i) {
      release(outputs_[i]);
    }
    outputs_.resize(node.first_output);
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (s.is_leaf) {
      s.filled = slot_received(static_cast<int32_t>(i));
      if (s.filled) {
        zero_missing_parts(static_cast<int32_t>(i));
      }
      s.parts = 0;
    }
  }
  while (!slots_.empty() && !slots_.back().is_leaf) {
    slots_.pop_back();
  }
}

void Tape::backward(const Var& seed, const Tensor& seed_gradient) {
  backward(std::span(&seed, 1), std::span(&seed_gradient, 1));
}

void Tape::backward(std::span<const Var> seeds, std::span<const Tensor> seed_gradients) {
  check(seeds.size() == seed_gradients.size(), "each seed has a gradient");
  for (size_t i = 0; i < seeds.size(); ++i) {
    accumulate(seeds[i], seed_gradients[i]);
  }
  run();
}

InputGradient::InputGradient(Tape& tape, const Var& input, bool scratch) {
  if (input.tracked()) {
    target_ = tape.target(input);
    tensor_ = target_.buffer;
  }
  if (target_.accumulate || (!input.tracked() && scratch)) {
    const Tensor& like = input.tracked() ? target_.buffer : input.value;
    tensor_ = Tensor::empty(like.shape(), like.dtype(), tape.arena());
  }
}

void InputGradient::finish() {
  if (target_.accumulate) {
    ops::add_scaled(target_.buffer, tensor_, 1.0F, target_.buffer);
  }
  target_ = {};
  tensor_ = {};
}

}  // namespace sambay
