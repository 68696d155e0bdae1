#include "ops/ceilings.h"

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "base/threads.h"

namespace sambay::ops {
namespace {

TEST(Ceilings, AreBelievableAtEveryInstructionSet) {
  // Speeds are not asserted, units are: a factor of 1,000 too few or too many is a bug.
  constexpr double low = 1e6, high = 1e13;
  const CeilingOptions brief = {.buffer_bytes = size_t{1} << 26, .seconds_per_figure = 0.01};
  for (const Isa level : available_isas()) {
    const ScopedIsa scope(level);
    const Ceilings c = measure_ceilings(brief);
    EXPECT_GT(c.f32_flops_per_second, low) << name(level);
    EXPECT_LT(c.f32_flops_per_second, high * num_threads()) << name(level);
    EXPECT_GT(c.read_bytes_per_second, low) << name(level);
    EXPECT_GT(c.bf16_flops_per_second, low) << name(level);
    EXPECT_LT(c.bf16_flops_per_second, high * num_threads()) << name(level);
  }
}

}  // namespace
}  // namespace sambay::ops
