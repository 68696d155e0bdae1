#include "text/thinking.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace sambay {
namespace {

struct Said {
  std::string thinking, answer;
  bool operator==(const Said&) const = default;
};

// The text pushed in pieces that end at the given places.
Said split_at(std::string_view text, const std::vector<size_t>& places, bool open = false) {
  ThinkingSplitter splitter({}, open);
  Said said;
  std::string all;
  const auto take = [&](const std::vector<ThinkingSplitter::Part>& parts) {
    for (const auto& part : parts) {
      EXPECT_FALSE(part.text.empty());
      EXPECT_TRUE(!part.thinking || said.answer.empty()) << "thinking goes before the answer";
      (part.thinking ? said.thinking : said.answer) += part.text;
      all += part.text;
    }
  };
  size_t begin = 0;
  for (const size_t end : places) {
    take(splitter.push(text.substr(begin, end - begin)));
    begin = end;
  }
  take(splitter.push(text.substr(begin)));
  take(splitter.finish());
  EXPECT_EQ(all, text) << "nothing is lost and nothing comes out of order";
  return said;
}

TEST(Thinking, MarksAndTheWhiteSpaceAroundThemBelongToThinking) {
  EXPECT_EQ(split_at(" <think>\nhm\n</think>\n\nYes, <think>", {}),
            (Said{" <think>\nhm\n</think>\n\n", "Yes, <think>"}));
  EXPECT_EQ(split_at("hm</think> Yes </think>", {}, true), (Said{"hm</think> ", "Yes </think>"}));
}

TEST(Thinking, WithoutAMarkAtItsBeginningAllIsAnswer) {
  EXPECT_EQ(split_at("Yes. <think>hm</think>", {}), (Said{"", "Yes. <think>hm</think>"}));
  EXPECT_EQ(split_at("</think>x", {}), (Said{"", "</think>x"}));
  EXPECT_EQ(split_at("  <thin", {}), (Said{"", "  <thin"}));
  EXPECT_EQ(split_at("", {}), (Said{"", ""}));
}

TEST(Thinking, ThinkingThatIsCutOffIsNoAnswer) {
  EXPECT_EQ(split_at("<think>a </thi", {}), (Said{"<think>a </thi", ""}));
  EXPECT_EQ(split_at("a", {}, true), (Said{"a", ""}));
}

TEST(Thinking, PiecesMakeNoDifference) {
  Rng rng(1);
  const std::vector<std::string> words = {"<think>", "</think>", "<",  "think", ">",
                                          "</",      "\n",       "  ", "word",  "é"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t n = rng.below(7); n > 0; --n) {
      text += words[rng.below(words.size())];
    }
    std::vector<size_t> places;
    for (size_t place = 0; place < text.size(); place += 1 + rng.below(4)) {
      places.push_back(place);
    }
    const bool open = rng.below(2) == 0;
    EXPECT_EQ(split_at(text, places, open), split_at(text, {}, open)) << text;
  }
}

TEST(Thinking, ThinkingIsKnownAsSoonAsItsMarkIsComplete) {
  ThinkingSplitter splitter({});
  splitter.push("<thin");
  EXPECT_FALSE(splitter.thinking());
  splitter.push("k>");
  EXPECT_TRUE(splitter.thinking());
  splitter.push("</think");
  EXPECT_TRUE(splitter.thinking());
  splitter.push(">");
  EXPECT_FALSE(splitter.thinking());
}

TEST(Thinking, ATemplateSaysWhichMarksAreUsed) {
  EXPECT_EQ(find_thinking_marks("...").end, "</think>");
  EXPECT_EQ(find_thinking_marks("{{ '[THINK]' }}{{ '[/THINK]' }}").begin, "[THINK]");
  EXPECT_TRUE(opens_thinking("<|assistant|><think>\n", {}));
  EXPECT_FALSE(opens_thinking("<|assistant|><think>\n\n</think>\n\n", {}));
  EXPECT_FALSE(opens_thinking(" ", {}));
}

}  // namespace
}  // namespace sambay
