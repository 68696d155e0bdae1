// Reverse-mode differentiation: values, a tape of what made them, and gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

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

  // For closures: the gradient that an output received (zeros if none did; only one output need
  // have one), and where an input's goes. Inputs that are not tracked must not be asked for.
  Tensor gradient(const Var& output);
  GradientTarget target(const Var& input);
  // Adds a finished gradient, taking the buffer over when it is the first.
  void accumulate(const Var& input, const Tensor& gradient);
  bool received(const Var& var) const;

  // Seeds (value, gradient) and runs the tape; it is empty afterwards but for leaves.
  void backward(const Var& seed, const Tensor& seed_gradient);
  void backward(std::span<const Var> seeds, std::span<const Tensor> seed_gradients);

  Arena& arena() const { return *arena_; }

 private:
  struct Slot {
    Shape shape;
    DType dtype = DType::f32;
    Tensor gradient;
    bool is_leaf = false;
    bool filled = false;
    int32_t parent = -1;  // of a part of split_last
    int64_t first_column = 0;
  };
  struct Node {
    std::vector<int32_t> outputs;
    std::function<void()> backward;
  };
  Slot& slot(const Var& var);

  Arena* arena_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
};

}  // namespace sambay
