// The state of one sequence across all layers: allocated, copied, saved and shared from its kinds
// alone.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "nn/state.h"

namespace sambay {

// Every layer's StateSpec, in layer order; layers without state have an empty one.
using ModelStateSpec = std::vector<StateSpec>;

class SequenceState {
 public:
  SequenceState() = default;
  // Zero length: fixed buffers zero, rings and pages empty.
  SequenceState(ModelStateSpec spec, Arena& arena);

  int64_t length() const { return length_; }
  LayerState& layer(size_t index) { return layers_[index]; }

  // Makes room for `tokens` more: new pages, and own copies of a last page that others share.
  void reserve(int64_t tokens);
  // Called once per forward, after all layers wrote.
  void advance(int64_t tokens) { length_ += tokens; }
  // Empties it without giving memory back.
  void reset();

  // A copy shares full pages and duplicates the rest; both may go on independently.
  SequenceState fork() const;

  // Bytes held by this state; a shared page counts in full.
  size_t bytes() const;
  // Position-independent image, and back. restore throws Error if the image is of another spec,
  // damaged or truncated.
  std::vector<std::byte> save() const;
  void restore(std::span<const std::byte> image);

 private:
  ModelStateSpec spec_;
  std::vector<LayerState> layers_;
  Arena* arena_ = nullptr;
  int64_t length_ = 0;
};

// Bytes of a state of `tokens` tokens.
size_t state_bytes(const ModelStateSpec& spec, int64_t tokens);

}  // namespace sambay
