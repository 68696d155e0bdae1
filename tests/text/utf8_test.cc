#include "text/utf8.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace sambay {
namespace {

// Each ? becomes U+FFFD.
std::string with_replacements(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '?' ? std::string("\xef\xbf\xbd") : std::string(1, c);
  }
  return out;
}

std::string encoded(uint32_t c) {
  const int followers = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
  std::string text(1, static_cast<char>(leads[followers] | c >> (6 * followers)));
  for (int i = followers - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(0x80 | (c >> (6 * i) & 0x3f)));
  }
  return text;
}

TEST(Utf8, EveryCodePointIsReadBack) {
  for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xd800 && c < 0xe000) {
      continue;
    }
    const std::string text = encoded(c);
    const Utf8Step step = utf8_step(text);
    ASSERT_EQ(step.kind, Utf8::valid);
    ASSERT_EQ(step.bytes, text.size());
    ASSERT_EQ(step.code_point, c);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(utf8_step(text.substr(0, cut)).kind, Utf8::incomplete);
    }
  }
}

// The examples of the Unicode standard, section 3.9, and of what is never well formed.
TEST(Utf8, MaximalSubpartsAreReplaced) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xf1\x80\x80\xe1\x80\xc2"
       "b\x80"
       "c\x80\xbf"
       "d",
       "a???b?c??d"},
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
       "A",
       "????????A"},
      {"\xed\xa0\x80\xed\xbf\xbf", "??????"},
      {"\xf4\x91\x92\x93\xff"
       "A",
       "?????A"},
      {"\xe2\x82", "?"},
      {"\xf0\x9f\x98", "?"},
      {"ok", "ok"},
      {"", ""}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(utf8_lossy(bytes), with_replacements(text));
  }
}

TEST(Utf8, AnIncompleteEndWaits) {
  std::string pending = "a\xe2\x82";
  EXPECT_EQ(utf8_take_complete(pending), "a");
  EXPECT_EQ(pending, "\xe2\x82");
  pending += "\xac!";
  EXPECT_EQ(utf8_take_complete(pending), "€!");
  EXPECT_EQ(pending, "");
  pending = "\xe2\x82z";
  EXPECT_EQ(utf8_take_complete(pending), with_replacements("?z"));
}

TEST(Utf8, ValidPrefixEndsBeforeTheFirstFault) {
  EXPECT_EQ(utf8_valid_prefix("aé€\xff"), 6U);
  EXPECT_EQ(utf8_valid_prefix("aé€"), 6U);
  EXPECT_EQ(utf8_valid_prefix("a\xc3"), 1U);
}

TEST(Utf8, WhiteSpaceIsUnicodes) {
  int count = 0;
  for (uint32_t c = 0; c < 0x110000; ++c) {
    count += is_white_space(c) ? 1 : 0;
  }
  EXPECT_EQ(count, 25);
  EXPECT_TRUE(is_white_space(0x85));
  EXPECT_FALSE(is_white_space(0x180e));
  EXPECT_FALSE(is_white_space(0xfeff));
}

}  // namespace
}  // namespace sambay
