// A model of random weights with the reasoning tokenizer, small enough for a test.
#pragma once

#include <fstream>
#include <string>

#include "data/reasoning/dataset.h"
#include "engine/generator.h"
#include "model/weights.h"

namespace sambay::testing {

inline Decoder tiny_decoder(const Tokenizer& tokenizer, Arena& arena) {
  Decoder decoder(make_preset({.name = "sambay",
                               .depth = 4,
                               .width = 32,
                               .heads = 2,
                               .kv_heads = 1,
                               .head_dim = 16,
                               .mlp_width = 64,
                               .vocab_size = tokenizer.vocab_size(),
                               .window = 8,
                               .training_length = 64}));
  initialize(decoder, {}, 1, arena);
  // A fresh head is zero: all tokens would be alike.
  const Tensor head = decoder.params().find("lm_head.weight")->weight.value;
  Rng rng(2);
  for (int64_t i = 0; i < head.elements(); ++i) {
    head.data<float>()[i] = static_cast<float>(rng.normal());
  }
  return decoder;
}

inline LoadedModel tiny_model() {
  auto arena = std::make_unique<Arena>();
  Tokenizer tokenizer(train_reasoning_tokenizer(300, 20, 1));
  Decoder decoder = tiny_decoder(tokenizer, *arena);
  return {std::move(arena), {}, std::move(decoder), std::move(tokenizer)};
}

// The same as a folder.
inline void save_tiny_model(const std::filesystem::path& folder) {
  const TokenizerSpec spec = train_reasoning_tokenizer(300, 20, 1);
  const Tokenizer tokenizer(spec);
  Arena arena;
  save_model(tiny_decoder(tokenizer, arena), folder, DType::f32);
  std::ofstream(folder / "tokenizer.json") << to_tokenizer_json(spec);
}

}  // namespace sambay::testing
