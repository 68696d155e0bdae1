#include "base/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace sambay {
namespace {

TEST(Cpu, LevelsAreOrderedAndBeginWithTheReference) {
  const auto levels = available_isas();
  ASSERT_GE(levels.size(), 2U);
  EXPECT_EQ(levels[0], Isa::reference);
  EXPECT_EQ(levels[1], Isa::portable);
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
}

TEST(Cpu, AForcedLevelEndsWithItsScope) {
  const Isa before = isa();
  for (const Isa level : available_isas()) {
    const ScopedIsa forced(level);
    EXPECT_EQ(isa(), level);
  }
  EXPECT_EQ(isa(), before);
}

// The level is chosen once a process, so each wish is put to a process of its own.
void exit_with_level(const char* wanted) {
  setenv("SAMBAY_ISA", wanted, 1);
  try {
    std::fputs(std::string(name(isa())).c_str(), stderr);
  } catch (const Error& error) {
    std::fputs(error.what(), stderr);
  }
  std::exit(0);
}

TEST(CpuDeathTest, TheVariableNamesTheLevel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit_with_level("portable"), ::testing::ExitedWithCode(0), "^portable$");
  EXPECT_EXIT(exit_with_level("sse9"), ::testing::ExitedWithCode(0),
              "\\[SAMBAY_ISA\\] \"sse9\": expected reference, portable");
}

}  // namespace
}  // namespace sambay
