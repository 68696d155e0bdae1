// What every recorded function asks: does anybody want gradients, and where do a weight's go.
#pragma once

#include <initializer_list>

#include "autograd/exec.h"

namespace sambay {

inline bool needs_gradient(const Exec& exec, std::initializer_list<const Var*> inputs,
                           std::initializer_list<const Weight*> weights = {}) {
  if (!exec.recording()) {
    return false;
  }
  for (const Var* input : inputs) {
    if (input->tracked()) {
      return true;
    }
  }
  for (const Weight* weight : weights) {
    if (weight->gradient.defined()) {
      return true;
    }
  }
  return false;
}

// For ops that always add to their weights' gradients: a frozen weight gets a buffer that nobody
// reads.
inline Tensor gradient_or_scratch(const Tape& tape, const Weight& weight) {
  return weight.gradient.defined()
             ? weight.gradient
             : Tensor::zeros(weight.value.shape(), weight.value.dtype(), tape.arena());
}

}  // namespace sambay
