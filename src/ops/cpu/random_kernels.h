// What cpu/isa/random.cc gives at each instruction set. Plain data only.
#pragma once

#include <cstdint>

namespace sambay::ops {

// Blocks of Philox that a kernel makes at once.
constexpr int random_blocks = 512;

struct RandomBlocks {
  uint64_t seed, stream;
  uint64_t first;  // block: half the position of its first word
};

struct RandomKernels {
  // out (2 random_blocks) = 2 Rng::uniform() - 1 of each word.
  void (*uniform)(const RandomBlocks& blocks, double* out);
  // out (random_blocks) starts with Rng::normal()'s numbers: those of the blocks that are no miss.
  // Returns how many.
  int (*normal)(const RandomBlocks& blocks, double* out);
};

}  // namespace sambay::ops
