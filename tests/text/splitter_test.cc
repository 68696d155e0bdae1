#include "text/splitter.h"

#include <gmock/gmock.h>

#include <string>

#include "base/error.h"
#include "base/rng.h"
#include "support/fault.h"
#include "text/bpe_trainer.h"
#include "text/known_splits.h"
#include "text/utf8.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using testing::fault;
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

// The patterns that are matched by hand. In a group they are others, which PCRE2 matches.
const std::vector<std::string>& known_patterns() {
  static const std::string contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
                           tail = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
                           before = R"(|[^\r\n\p{L}\p{N}]?)";
  static const std::vector<std::string> patterns = {
      gpt2_split_pattern,
      word_split_pattern,
      digit_split_pattern,
      contractions + before + R"(\p{L}+|\p{N}{1,3})" + tail,
      contractions + before + R"(\p{L}+|\p{N})" + tail,
      contractions + before + R"([\p{L}\p{M}]+|\p{N}{1,3})" + tail,
      contractions + before + R"([\p{L}\p{M}]+|\p{N})" + tail,
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" +
          contractions +
          R"(?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" +
          contractions + R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
  return patterns;
}

TEST(Splitter, KnownPatternsCutRandomTextAsPcre2Does) {
  // Of every kind, and what patterns name; those most often that take part in most rules.
  const std::vector<std::string> characters = {
      "a",      "b",      "s",      "t",      "r",      "e",      "v",      "l",         "m",
      "d",      "A",      "S",      "T",      "L",      "E",      "'",      "'",         " ",
      " ",      " ",      "\n",     "\r",     "\t",     "/",      ".",      "_",         "1",
      "2",      "\u0301", "\u00e9", "\u00c9", "\u01c5", "\u02b0", "\u4e2d", "\u0661",    "\u2163",
      "\u00a0", "\u3000", "\u0085", "\u180e", "\u017f", "\u212a", "\u200d", "\U0001f600"};
  Rng rng(11);
  for (const std::string& pattern : known_patterns()) {
    ASSERT_TRUE(KnownSplit::find(pattern)) << pattern;
    ASSERT_FALSE(KnownSplit::find("(?:" + pattern + ")"));
    const Splitter by_hand({{pattern}}, "test"), by_pcre2({{"(?:" + pattern + ")"}}, "test");
    for (int round = 0; round < 5000; ++round) {
      std::string text;
      // A few characters at a time, so that runs are long enough.
      const uint64_t some = 1 + rng.below(characters.size()), first = rng.below(characters.size());
      for (uint64_t i = rng.below(25); i > 0; --i) {
        text += characters[(first + rng.below(some)) % characters.size()];
      }
      std::vector<std::string_view> expected, pieces;
      by_pcre2.split(text, expected);
      by_hand.split(text, pieces);
      ASSERT_EQ(pieces, expected) << pattern << " on " << ::testing::PrintToString(text);
    }
  }
}

TEST(Splitter, EveryCharacterIsOfTheKindThatPcre2Says) {
  std::string all;
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xd800 || c > 0xdfff) {
      append_utf8(all, c);
      all += "A!";
    }
  }
  const std::string pattern = known_patterns().back();
  std::vector<std::string_view> expected, pieces;
  Splitter({{"(?:" + pattern + ")"}}, "test").split(all, expected);
  Splitter({{pattern}}, "test").split(all, pieces);
  EXPECT_TRUE(pieces == expected);
}

TEST(Splitter, MegabytesOfOneKindAreCutAtOnce) {
  for (const std::string& pattern : known_patterns()) {
    const Splitter splitter({{pattern}}, "test");
    for (const char* unit : {"A", "a", "aA", " ", "\n", " \n", "\u0301", "\u4e2dA", "."}) {
      std::string text;
      while (text.size() < 4'000'000 / known_patterns().size()) {
        text += unit;
      }
      std::vector<std::string_view> pieces;
      splitter.split(text, pieces);
      size_t total = 0;
      for (const auto& piece : pieces) {
        total += piece.size();
      }
      EXPECT_EQ(total, text.size());
    }
  }
}

TEST(Splitter, AFaultyPatternIsNamed) {
  EXPECT_EQ(fault([&] { Splitter({{"(abc"}}, "file.json"); }),
            "[file.json] split pattern \"(abc\": missing closing parenthesis");
}

}  // namespace
}  // namespace sambay
