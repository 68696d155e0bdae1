// What this machine can do at best, measured: the figures that speeds are stated against.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/tensor.h"

namespace sambay::ops {

// All threads together, at the instruction set in use.
struct Ceilings {
  double read_bytes_per_second = 0;  // streaming from memory, far beyond every cache
  double f32_flops_per_second = 0;   // multiply-adds on registers, two operations each
  double bf16_flops_per_second =
      0;  // the same from bf16 pairs, tiles, or widened: what the level has
};

struct CeilingOptions {
  size_t buffer_bytes = size_t{1} << 30;
  double seconds_per_figure = 0.2;  // beside the first touch of the buffer
};

// Streams through a buffer of its own, in passes that can be taken in turn with other work.
class ReadCeiling {
 public:
  // Throws Error if the buffer cannot be had.
  explicit ReadCeiling(size_t buffer_bytes);
  // Bytes per second of reading so many bytes, in whole MiB, from where the last pass ended.
  double pass(size_t bytes);        // on all threads, which share out the pieces as they go
  double pass_alone(size_t bytes);  // on this one, per second of its processor time

 private:
  double timed_pass(size_t bytes, bool alone);

  Arena arena_;
  Tensor buffer_;  // (pieces, piece)
  int64_t next_ = 0;
};

// The best of many short trials, so that a busy moment lowers no figure unless it lasts. Throws
// Error if the buffer cannot be had.
Ceilings measure_ceilings(const CeilingOptions& options = {});

}  // namespace sambay::ops
