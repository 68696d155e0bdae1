#include "ops/random.h"

#include <gmock/gmock.h>

#include "base/threads.h"
#include "ops/op_test_util.h"
#include "support/fault.h"

namespace sambay::ops::testing {
namespace {

using sambay::testing::fault;
using ::testing::HasSubstr;

// More than one part of the stream, and no whole number of blocks.
constexpr int64_t count = (1 << 16) + 12'345;
const Rng stream(0x0123456789abcdef, "a parameter");

// By the definition in random.h.
template <class Draw>
std::vector<double> drawn(Draw draw) {
  std::vector<double> out;
  for (int64_t part = 0; part < 2; ++part) {
    RngState at = stream.state();
    at.position = static_cast<uint64_t>(part) << 32;
    Rng rng(at);
    for (int64_t i = part << 16; i < std::min(count, (part + 1) << 16); ++i) {
      out.push_back(draw(rng));
    }
  }
  return out;
}

TEST(Random, NormalsHaveTheBitsOfRngAtEveryInstructionSet) {
  const auto expected = drawn([](Rng& rng) { return 0.02 * rng.normal(); });
  for_each_isa([&](const std::string& level) {
    const Tensor out = Tensor::empty({count}, DType::f64);
    fill_normal(out, 0.02, stream);
    EXPECT_TRUE(values_of(out) == expected) << level;
  });
}

TEST(Random, UniformsHaveTheBitsOfRngAtEveryInstructionSet) {
  const auto expected = drawn([](Rng& rng) { return 0.3 * (2 * rng.uniform() - 1); });
  for_each_isa([&](const std::string& level) {
    const Tensor out = Tensor::empty({count}, DType::f64);
    fill_uniform(out, 0.3, stream);
    EXPECT_TRUE(values_of(out) == expected) << level;
  });
}

TEST(Random, NarrowElementsAreRoundedByWayOfF32) {
  const Tensor wide = Tensor::empty({3, 1000}, DType::f64);
  fill_normal(wide, 1, stream);
  for_each_isa([&](const std::string& level) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Tensor out = Tensor::empty({3, 1000}, dtype);
      fill_normal(out, 1, stream);
      EXPECT_EQ(values_of(out), values_of(converted(converted(wide, DType::f32), dtype))) << level;
    }
  });
}

TEST(Random, TheNumberOfThreadsChangesNothing) {
  const int before = num_threads();
  std::vector<std::vector<double>> made;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    const Tensor out = Tensor::empty({count}, DType::f32);
    fill_normal(out, 1, stream);
    made.push_back(values_of(out));
  }
  set_num_threads(before);
  EXPECT_TRUE(made[0] == made[1]);
}

TEST(Random, IntegersAreRefused) {
  EXPECT_THAT(fault([] { fill_uniform(Tensor::empty({4}, DType::i32), 1, stream); }),
              HasSubstr("[random] out"));
}

}  // namespace
}  // namespace sambay::ops::testing
