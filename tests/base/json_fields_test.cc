#include "base/json_fields.h"

#include <gtest/gtest.h>

#include <functional>

#include "support/fault.h"

namespace sambay {
namespace {

using testing::fault;

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(Json, NestsOnlySoDeep) {
  EXPECT_EQ(fault([] { parse_json(nested(100), "x"); }), "");
  EXPECT_EQ(fault([] { parse_json(nested(101), "x"); }), "[x] nested deeper than 100");
  EXPECT_EQ(fault([] { parse_json(std::string(10'000'000, '['), "x"); }),
            "[x] nested deeper than 100");
  std::string objects;
  for (int i = 0; i < 101; ++i) {
    objects += "{\"a\":";
  }
  EXPECT_EQ(fault([&] { parse_json(objects, "x"); }), "[x] nested deeper than 100");
}

TEST(Json, DoesNotCountBracketsInStringsOrSideBySide) {
  const std::string brackets(200, '[');
  EXPECT_EQ(parse_json("\"" + brackets + "\"", "x"), brackets);
  EXPECT_EQ(parse_json("[\"\\\"" + brackets + "\"]", "x")[0], "\"" + brackets);
  EXPECT_EQ(parse_json("[\"\\\\\"," + nested(99) + "]", "x").size(), 2U);
  std::string siblings = "[[]";
  for (int i = 0; i < 200; ++i) {
    siblings += ",[]";
  }
  EXPECT_EQ(parse_json(siblings + "]", "x").size(), 201U);
}

}  // namespace
}  // namespace sambay
