#include "ops/ceilings.h"

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "base/threads.h"

namespace sambay::ops {
namespace {

TEST(Ceilings, GrowWithTheInstructionSetAndAreBelievable) {
  // The slowest core of the last decade does more than 1 GFLOP/s, the fastest less than 10 TFLOP/s.
  constexpr double low = 1e9, high = 1e13;
  const CeilingOptions brief = {.buffer_bytes = size_t{1} << 26, .seconds_per_figure = 0.01};
  double narrower = 0;
  for (const Isa level : available_isas()) {
    const ScopedIsa scope(level);
    const Ceilings c = measure_ceilings(brief);
    EXPECT_GT(c.f32_flops_per_second, low) << name(level);
    EXPECT_LT(c.f32_flops_per_second, high * num_threads()) << name(level);
    EXPECT_GT(c.read_bytes_per_second, low) << name(level);
    // Half as much as a narrower level would mean that the loop waits for its own sums.
    EXPECT_GT(c.f32_flops_per_second, narrower / 2) << name(level);
    EXPECT_GT(c.bf16_flops_per_second, c.f32_flops_per_second / 2) << name(level);
    narrower = c.f32_flops_per_second;
  }
}

}  // namespace
}  // namespace sambay::ops
