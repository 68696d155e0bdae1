#include "base/log.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace sambay {
namespace {

void log_at(const char* level) {
  setenv("SAMBAY_LOG", level, 1);
  try {
    log().debug("a detail");
    log().error("a {}", "fault");
  } catch (const Error& error) {
    std::fputs(error.what(), stderr);
  }
  std::exit(0);
}

TEST(LogDeathTest, TheVariableChoosesTheLevel) {
  EXPECT_EXIT(log_at("debug"), ::testing::ExitedWithCode(0), "debug a detail\nerror a fault\n");
  EXPECT_EXIT(log_at(""), ::testing::ExitedWithCode(0), "^error a fault\n$");
  EXPECT_EXIT(log_at("loud"), ::testing::ExitedWithCode(0), "SAMBAY_LOG.*\"loud\": expected trace");
}

}  // namespace
}  // namespace sambay
