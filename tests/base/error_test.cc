#include "base/error.h"

#include <gtest/gtest.h>

namespace sambay {
namespace {

TEST(Error, StaysOnOneLineWhateverNamesItQuotes) {
  try {
    fail("config.json: a\nb", "value \"{}\": expected text", std::string("x\r\x1b\x7f\0é", 7));
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[config.json: a\\nb] value \"x\\x0d\\x1b\\x7f\\x00é\": expected text");
  }
}

}  // namespace
}  // namespace sambay
