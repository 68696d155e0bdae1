// How a forward pass runs: where its tensors live, in which precision, and whether it is recorded.
#pragma once

#include "autograd/tape.h"

namespace sambay {

// Matrix inputs and activations in `compute`; the residual stream, statistics, states and all
// vector-like parameters in `accum`. {bf16, f32}, {f32, f32}, or {f64, f64} for checking gradients.
struct Precision {
  DType compute = DType::f32;
  DType accum = DType::f32;
  // Of the keys and values that grow with a sequence: 8 (ops/kv_tiles.h), or 0, as `compute`.
  int kv_bits = 0;

  bool operator==(const Precision&) const = default;
};

struct Exec {
  Arena* arena = nullptr;
  Tape* tape = nullptr;  // null: inference, nothing is saved
  Precision precision;
  bool recompute_layers = false;  // activation checkpointing: keep layer inputs, run layers again

  bool recording() const { return tape != nullptr; }
  Tensor empty(Shape shape, DType dtype) const { return Tensor::empty(shape, dtype, *arena); }
};

}  // namespace sambay
