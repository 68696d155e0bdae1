#include "text/splitter.h"

#include <gmock/gmock.h>

#include <string>

#include "base/error.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> pieces(const std::vector<SplitRule>& rules, std::string_view text) {
  std::vector<std::string_view> views;
  Splitter(rules, "test").split(text, views);
  return {views.begin(), views.end()};
}

TEST(Splitter, IsolatedKeepsMatchesAndGaps) {
  EXPECT_THAT(pieces({{"\\d+"}}, "a12b3"), ElementsAre("a", "12", "b", "3"));
  EXPECT_THAT(pieces({{"\\d+", false, true}}, "a12b3"), ElementsAre("a", "b"));
  EXPECT_THAT(pieces({{"\\d+", true, false}}, "a12b3"), ElementsAre("12", "3"));
  EXPECT_THAT(pieces({{"\\d+"}}, ""), IsEmpty());
  EXPECT_THAT(pieces({}, "all of it"), ElementsAre("all of it"));
}

TEST(Splitter, RulesFollowEachOther) {
  EXPECT_THAT(pieces({{"\\p{N}"}, {gpt2_split_pattern}}, "it's 12  x"),
              ElementsAre("it", "'s", " ", "1", "2", " ", " x"));
}

TEST(Splitter, Gpt2PatternCutsAsPublished) {
  EXPECT_THAT(pieces({{gpt2_split_pattern}}, "Hello world!!  I'll go.\n\n x"),
              ElementsAre("Hello", " world", "!!", " ", " I", "'ll", " go", ".", "\n\n", " x"));
}

TEST(Splitter, SpaceIsUnicodesWhiteSpace) {
  const std::string mongolian = "\u180e", nel = "\u0085", wide = "\u3000";
  for (const char* pattern : {"\\s+", "[\\s]+", "[^\\S]+"}) {
    EXPECT_THAT(pieces({{pattern}}, "a" + nel + wide + "b"), ElementsAre("a", nel + wide, "b"));
  }
  EXPECT_THAT(pieces({{"\\s+"}}, "a" + mongolian + "b"), ElementsAre("a" + mongolian + "b"));
  EXPECT_THAT(pieces({{"[\\s]+"}}, "a" + mongolian + "b"), ElementsAre("a" + mongolian + "b"));
  EXPECT_THAT(pieces({{"\\S+", false, true}}, "a" + mongolian + " b"), ElementsAre(" "));
}

TEST(Splitter, ClassesWithBracketsInThemStayWhole) {
  EXPECT_THAT(pieces({{"[]\\s]+"}}, "a] ]b"), ElementsAre("a", "] ]", "b"));
  EXPECT_THAT(pieces({{"[^]\\s]+"}}, "a] ]b"), ElementsAre("a", "] ]", "b"));
  EXPECT_THAT(pieces({{"[[:alpha:]\\s]+"}}, "1a b2"), ElementsAre("1", "a b", "2"));
  EXPECT_THAT(pieces({{"\\[\\s"}}, "a[ b"), ElementsAre("a", "[ ", "b"));
}

TEST(Splitter, EmptyMatchesCutNothingAndEnd) {
  EXPECT_THAT(pieces({{"x*"}}, "aéxxb"), ElementsAre("aé", "xx", "b"));
  EXPECT_THAT(pieces({{"(?=a)"}}, "aaa"), ElementsAre("aaa"));
}

TEST(Splitter, BytesThatAreNotUtf8StandApart) {
  EXPECT_THAT(pieces({{"\\p{L}+"}},
                     "ab\xff\xfe"
                     "cd\xe2\x82"),
              ElementsAre("ab", "\xff\xfe", "cd", "\xe2\x82"));
}

TEST(Splitter, LongRunsNeitherOverflowNorTakeForever) {
  const std::string pattern =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{M}]*[\\p{Ll}\\p{M}]+|\\p{Lu}+|\\s*[\\r\\n]+|\\s+(?!\\S)|"
      "\\s+";
  for (const char* unit : {"A", "a", " ", "\u0301", "."}) {
    std::string text;
    for (int i = 0; i < 300'000; ++i) {
      text += unit;
    }
    size_t total = 0;
    for (const auto& piece : pieces({{pattern}}, text)) {
      total += piece.size();
    }
    EXPECT_EQ(total, text.size());
  }
}

TEST(Splitter, AFaultyPatternIsNamed) {
  try {
    Splitter({{"(abc"}}, "file.json");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[file.json] split pattern \"(abc\": missing closing parenthesis");
  }
}

}  // namespace
}  // namespace sambay
