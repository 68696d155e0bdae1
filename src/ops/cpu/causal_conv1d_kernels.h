#pragma once

#include "ops/cpu/rows.h"

namespace sambay::ops {

inline constexpr int64_t conv_max_taps = 8;

struct ConvArguments {
  ConstRows x;
  const float* weight = nullptr;  // (W, E): taps outermost
  const float* bias = nullptr;    // may be null
  int64_t channels = 0, taps = 0;
  bool silu = false;
};

// Rows [row, row + rows) of one sequence; state (W - 1, E) may be null.
struct ConvSegment {
  int64_t row = 0, rows = 0;
  float* state = nullptr;
};

struct ConvBackward {
  ConvArguments in;
  ConstRows d_out;
  Rows d_x;
  float* d_weight = nullptr;  // (W, E), added to
  float* d_bias = nullptr;    // (E), added to
};

struct ConvKernels {
  // The segment's rows [begin, end), counted from its first; reads the state and leaves it alone.
  void (*forward)(const ConvArguments& in, const ConvSegment& segment, int64_t begin, int64_t end,
                  Rows out);
  // Brings the state up to date with all rows of the segment.
  void (*keep)(const ConvArguments& in, const ConvSegment& segment);
  // All rows of a segment without state, for the channels [begin, end).
  void (*backward)(const ConvBackward& work, const ConvSegment& segment, int64_t begin,
                   int64_t end);
};

}  // namespace sambay::ops
