#include "base/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace sambay {
namespace {

void ask_to_stop(int times) {
  install_stop_handler();
  if (stop_requested()) {
    std::exit(1);
  }
  for (int i = 0; i < times; ++i) {
    std::raise(SIGTERM);
  }
  std::exit(stop_requested() ? 0 : 2);
}

TEST(SignalsDeathTest, OneAsksForAStopTheSecondEndsTheProcess) {
  EXPECT_EXIT(ask_to_stop(1), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(ask_to_stop(2), ::testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace sambay
