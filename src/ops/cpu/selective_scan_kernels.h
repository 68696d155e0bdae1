// The scan's kernels. Channels lie across the lanes, so that y needs no sum over lanes; a single
// row has the states across the lanes instead, as they lie in memory.
#pragma once

#include "ops/cpu/rows.h"

namespace sambay::ops {

struct ScanArguments {
  int64_t channels = 0, state_size = 0;  // E, N
  ConstRows u, dt_raw;                   // one dtype
  const float* bc = nullptr;             // (T, 2 N): b, then c
  const float* exponents = nullptr;      // (E, N): A log2(e), so that exp(dt A) = 2^(dt exponent)
  const float* skip = nullptr;
  const float* dt_bias = nullptr;
};

// Rows [row, row + rows) of one sequence. state (E, N) may be null; checkpoints: those of the
// segment, or null.
struct ScanSegment {
  int64_t row = 0, rows = 0;
  float* state = nullptr;
  float* checkpoints = nullptr;
};

struct ScanBackward {
  ScanArguments in;
  ConstRows d_y;
  Rows d_u, d_dt_raw;
  float* d_bc = nullptr;       // (T, 2 N): what these channels add, overwritten
  float* d_a_log = nullptr;    // (E, N), added to, as the next two
  float* d_skip = nullptr;     // (E)
  float* d_dt_bias = nullptr;  // (E)
};

struct ScanKernels {
  // out = -exp(a_log) log2(e), elementwise.
  void (*exponents)(const float* a_log, int64_t count, float* out);
  // Widens the rows [begin, end) of b and c into bc.
  void (*widen)(ConstRows b, ConstRows c, int64_t state_size, int64_t begin, int64_t end,
                float* bc);
  // y for the channels [begin, end) of a segment.
  void (*scan)(const ScanArguments& in, const ScanSegment& segment, int64_t begin, int64_t end,
               Rows y);
  // The same for a few rows of a segment that has a state.
  void (*step)(const ScanArguments& in, const ScanSegment& segment, int64_t begin, int64_t end,
               Rows y);
  // The gradients of the channels [begin, end) over one segment, from its checkpoints.
  void (*backward)(const ScanBackward& work, const ScanSegment& segment, int64_t begin,
                   int64_t end);
  // The sum of `parts` arrays shaped as bc, in order, as rows [begin, end) of d_b and d_c.
  void (*sum_bc)(const float* parts, int64_t count, int64_t part_stride, int64_t state_size,
                 int64_t begin, int64_t end, Rows d_b, Rows d_c);
  // out += the sum of `count` arrays of n numbers, in order.
  void (*add_parts)(const float* parts, int64_t count, int64_t part_stride, int64_t n, float* out);
};

// What `backward` takes at most in one call.
inline constexpr int64_t scan_backward_channels = 128;

}  // namespace sambay::ops
