// Reverse-mode differentiation: values, a tape of what made them, and gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ops/quantized_matrix.h"
#include "tensor/tensor.h"

namespace sambay {

// A tensor in a forward pass. slot >= 0 names its gradient on the tape of that pass.
struct Var {
  Tensor value;
  int32_t slot = -1;

  bool tracked() const { return slot >= 0; }
};

// A parameter as a forward sees it. gradient is undefined where none is wanted; otherwise backward
// passes add to it.
struct Weight {
  Tensor value;
  Tensor gradient;
  ops::QuantizedMatrix quantized = {};  // in place of value; never with a gradient

  Shape shape() const { return quantized.defined() ? quantized.shape() : value.shape(); }
  // A matrix's rows [begin, end).
  Weight rows(int64_t begin, int64_t end) const;
};

// Where a backward writes a gradient: `accumulate` says that the buffer already holds a part of the
// sum.
struct GradientTarget {
  Tensor buffer;
  bool accumulate = false;
};

// One pass forward and one backward. Gradients have their values' dtype; a slot's buffer is
// allocated when the first contribution arrives and freed once the node that made the value has
// consumed it.
class Tape {
 public:
  explicit Tape(Arena& arena) : arena_(&arena) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // A value whose gradient is kept for gradient().
  Var leaf(const Tensor& value);
  // A value that a recorded node makes.
  Var track(const Tensor& value);
  // Views of x's columns [0, sizes[0]), [sizes[0], ...): gradients of the parts land in one buffer
  // of x, without a copy. x must have no other consumer.
  std::vector<Var> split_last(const Var& x, std::span<const int64_t> sizes);

  // Runs in backward(), last recorded first, and only if some output has received a gradient. The
  // closure owns what it saved and is destroyed after it ran.
  void record(std::initializer_list<Var> outputs, std::function<void()> backward);
  void record(std::span<const Var> outputs, std::function<void()> backward);

  // For closures: the gradient that an output received (zeros if none did; only one output need
  // have one), and where an input's goes. Inputs that are not tracked must not be asked for.
  Tensor gradient(const Var& output);
  GradientTarget target(const Var& input);
  // Adds a finished gradient, taking the buffer over when it is the first.
  void accumulate(const Var& input, const Tensor& gradient);
  bool received(const Var& var) const;

  // Seeds (value, gradient) and runs the tape; it is empty afterwards but for leaves. The seeds'
  // buffers are taken over and may be written to.
  void backward(const Var& seed, const Tensor& seed_gradient);
  void backward(std::span<const Var> seeds, std::span<const Tensor> seed_gradients);

  Arena& arena() const { return *arena_; }

 private:
  struct Slot {
    Shape shape;
    DType dtype = DType::f32;
    Tensor gradient;  // of a part: a view of its parent's
    bool is_leaf = false;
    bool filled = false;
    int32_t parent = -1;  // of a part of split_last
    int64_t first_column = 0;
    int32_t first_part = -1;  // of a value that was split: its parts are neighbours
    int32_t parts = 0;
  };
  struct Node {
    size_t first_output;  // the node's outputs are outputs_ from here to the next node's first
    std::function<void()> backward;
  };
  int32_t add_slot(const Tensor& value);
  Slot& slot(int32_t index) { return slots_[static_cast<size_t>(index)]; }
  const Slot& slot(int32_t index) const { return slots_[static_cast<size_t>(index)]; }
  bool slot_received(int32_t index) const;
  const Tensor& buffer(int32_t index);
  void zero_missing_parts(int32_t index);
  void release(int32_t index);
  void run();

  Arena* arena_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  std::vector<int32_t> outputs_;
};

// The slot alone: what a closure keeps of a value that its backward does not need.
inline Var handle(const Var& var) {
  return {{}, var.slot};
}

// Where an op that overwrites its result puts the gradient of `input`: the tape's own buffer while
// that is empty, else a temporary, which finish() adds to it.
class InputGradient {
 public:
  // Of an untracked input the tensor is undefined or, with `scratch`, a buffer that nobody reads.
  InputGradient(Tape& tape, const Var& input, bool scratch = false);
  const Tensor& tensor() const { return tensor_; }
  // After the op has written.
  void finish();

 private:
  GradientTarget target_;
  Tensor tensor_;
};

}  // namespace sambay
