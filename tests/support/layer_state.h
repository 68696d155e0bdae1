// One layer's state of one sequence, made from its spec alone, with all the pages it will need.
#pragma once

#include "nn/state.h"

namespace sambay::testing {

inline LayerState make_layer_state(const StateSpec& spec, int64_t max_tokens,
                                   Arena& arena = default_arena(Device::cpu)) {
  LayerState state;
  for (const StateBuffer& buffer : spec) {
    LayerState::Buffer& made = state.buffers.emplace_back();
    const Shape& item = buffer.item;
    if (buffer.kind == StateKind::fixed) {
      made.data = Tensor::zeros(item, buffer.dtype, arena);
    } else if (buffer.kind == StateKind::ring) {
      made.data = Tensor::zeros({item[0], buffer.capacity, item[1]}, buffer.dtype, arena);
    } else {
      for (int64_t tokens = 0; tokens < max_tokens; tokens += page_tokens) {
        made.pages.push_back(std::make_shared<Tensor>(
            Tensor::zeros({item[0], page_items, item[1]}, buffer.dtype, arena)));
      }
    }
  }
  return state;
}

}  // namespace sambay::testing
