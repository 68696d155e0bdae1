// What a model costs, from a run on Device::meta that computes nothing.
#pragma once

#include "model/decoder.h"
#include "ops/cost.h"

namespace sambay {

// What the program itself takes of the machine's memory, as measured: code, libraries, heap. With
// the arena's peak that is the process.
inline constexpr size_t program_bytes = size_t{18} << 20;

// One sequence: a prompt of `prompt` tokens in pieces of `chunk`, the last token's logits, then one
// more token.
struct GenerationCost {
  Cost prefill;  // of the whole prompt
  Cost decode;   // of the token after it
  size_t weight_bytes = 0;
  size_t state_bytes = 0;
  // Of the arena: weights, state, activations and what kernels take beside them, as a real run at
  // the same instruction set and number of threads would have it.
  size_t peak_bytes = 0;
};
GenerationCost dry_generation(const ModelConfig& config, const Precision& precision, int64_t prompt,
                              int64_t chunk);

}  // namespace sambay
