#include "engine/text_stream.h"

#include <gtest/gtest.h>

#include "text/bpe_trainer.h"

namespace sambay {
namespace {

// Every byte is a token of its own.
const Tokenizer& bytes() {
  static const Tokenizer tokenizer(
      BpeTrainer({.vocab_size = 257, .special_tokens = {"<|end|>"}}).train());
  return tokenizer;
}

struct Streamed {
  std::vector<std::string> pieces;
  std::string text;
  bool stopped;
};

Streamed stream(std::string_view text, std::vector<std::string> stops) {
  TextStream out(bytes(), std::move(stops));
  Streamed result;
  for (const int32_t id : bytes().encode(text)) {
    result.pieces.push_back(out.push(id));
    result.text += result.pieces.back();
  }
  result.text += out.finish();
  result.stopped = out.stopped();
  return result;
}

TEST(TextStream, GivesCompleteCharactersOnly) {
  const auto out = stream("aé€", {});
  EXPECT_EQ(out.pieces, (std::vector<std::string>{"a", "", "é", "", "", "€"}));
  EXPECT_EQ(stream("a\xe2\x82", {}).text, "a\xef\xbf\xbd");
}

TEST(TextStream, StopTextsAreFoundAcrossTokensAndNeverGivenOut) {
  const auto out = stream("one STOP two", {"STOP", "two"});
  EXPECT_EQ(out.text, "one ");
  EXPECT_TRUE(out.stopped);
}

TEST(TextStream, WhatOnlyBeganLikeAStopTextIsGivenOut) {
  const auto out = stream("aab aaab", {"aaac", "zz"});
  EXPECT_EQ(out.text, "aab aaab");
  EXPECT_FALSE(out.stopped);
  EXPECT_EQ(stream("xaa", {"aac"}).text, "xaa");
}

TEST(TextStream, TheEarliestStopTextWins) {
  EXPECT_EQ(stream("abcd", {"cd", "bc"}).text, "a");
}

TEST(TextStream, SpecialTokensAndEmptyStopTextsGiveNothing) {
  const auto out = stream("a<|end|>b", {""});
  EXPECT_EQ(out.text, "ab");
  EXPECT_FALSE(out.stopped);
}

TEST(TextStream, SpecialTokensGiveTextOnlyWhereTheyAreShown) {
  const int32_t mark = *bytes().id_of("<|end|>");
  TextStream hidden(bytes(), {}), shown(bytes(), {}, {mark});
  EXPECT_EQ(hidden.push(mark), "");
  shown.push(bytes().encode("\xe2")[0]);
  EXPECT_EQ(shown.push(mark), "\xef\xbf\xbd<|end|>");
}

}  // namespace
}  // namespace sambay
