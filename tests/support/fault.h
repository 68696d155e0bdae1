// What a refusal says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

namespace sambay::testing {

// The message of the Error that body throws, which is one line; empty if it throws none.
inline std::string fault(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    return error.what();
  }
  return "";
}

}  // namespace sambay::testing
