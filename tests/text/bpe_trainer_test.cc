#include "text/bpe_trainer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "support/fault.h"
#include "text/tokenizer.h"

namespace sambay {
namespace {

using ::testing::HasSubstr;

std::string random_text(Rng& rng, size_t words) {
  std::string text;
  for (size_t i = 0; i < words; ++i) {
    for (uint64_t n = 1 + rng.below(7); n > 0; --n) {
      text += static_cast<char>('a' + rng.below(4));
    }
    text += ' ';
  }
  return text;
}

// The definition: count every pair anew after each merge.
std::vector<std::pair<std::string, std::string>> by_definition(std::string_view text,
                                                               size_t merges) {
  std::vector<std::string_view> pieces;
  Splitter({{word_split_pattern}}, "test").split(text, pieces);
  std::map<std::string, int32_t> id_of;
  for (int byte = 0; byte < 256; ++byte) {
    const auto letter = static_cast<unsigned char>(byte);
    id_of[std::string(1, static_cast<char>(letter))] = byte_level_id(letter);
  }
  std::vector<std::vector<std::string>> words;
  for (const auto piece : pieces) {
    words.emplace_back();
    for (const char c : piece) {
      words.back().emplace_back(1, c);
    }
  }
  std::vector<std::pair<std::string, std::string>> made;
  while (made.size() < merges) {
    std::map<std::pair<int32_t, int32_t>, std::tuple<int, std::string, std::string>> counts;
    for (const auto& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        auto& [count, left, right] = counts[{id_of[word[i]], id_of[word[i + 1]]}];
        ++count;
        left = word[i];
        right = word[i + 1];
      }
    }
    const auto best = std::max_element(
        counts.begin(), counts.end(),
        [](const auto& a, const auto& b) { return std::get<0>(a.second) < std::get<0>(b.second); });
    if (best == counts.end() || std::get<0>(best->second) < 2) {
      break;
    }
    const auto [count, left, right] = best->second;
    made.emplace_back(left, right);
    id_of.emplace(left + right, static_cast<int32_t>(id_of.size()));
    for (auto& word : words) {
      std::vector<std::string> after;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool here = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
        after.push_back(here ? left + right : word[i]);
        i += here ? 1 : 0;
      }
      word = after;
    }
  }
  return made;
}

TEST(BpeTrainer, MergesAreThoseOfTheDefinition) {
  Rng rng(1);
  for (int round = 0; round < 4; ++round) {
    const std::string text = random_text(rng, 500) + " aaaa aaaaa aaaaaa";
    BpeTrainer trainer({.vocab_size = 256 + 80});
    trainer.add(text);
    const TokenizerSpec spec = trainer.train();
    const auto expected = by_definition(text, spec.merges.size());
    ASSERT_EQ(spec.merges.size(), expected.size());
    ASSERT_EQ(spec.vocab.size(), 336U);
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto bytes = [&](int32_t id) { return spec.vocab[static_cast<size_t>(id)].bytes; };
      EXPECT_EQ(bytes(spec.merges[i].left), expected[i].first) << i;
      EXPECT_EQ(bytes(spec.merges[i].right), expected[i].second) << i;
      EXPECT_EQ(bytes(spec.merges[i].merged), expected[i].first + expected[i].second);
    }
  }
}

TEST(BpeTrainer, TheOrderOfDocumentsDoesNotMatter) {
  Rng rng(2);
  std::vector<std::string> documents;
  for (int i = 0; i < 10; ++i) {
    documents.push_back(random_text(rng, 40));
  }
  const auto trained = [&] {
    BpeTrainer trainer({.vocab_size = 330, .special_tokens = {"<|end|>"}});
    for (const auto& document : documents) {
      trainer.add(document);
    }
    return to_tokenizer_json(trainer.train());
  };
  const std::string forward = trained();
  std::reverse(documents.begin(), documents.end());
  EXPECT_EQ(trained(), forward);
}

TEST(BpeTrainer, WhatIsWrittenIsReadAndEncodesWhatWasTrainedOn) {
  Rng rng(3);
  const std::string text = random_text(rng, 200);
  BpeTrainer trainer({.vocab_size = 320, .special_tokens = {"<|user|>", "<|end|>"}});
  trainer.add(text);
  const Tokenizer tokenizer(parse_tokenizer_json(to_tokenizer_json(trainer.train()), "trained"));
  EXPECT_EQ(tokenizer.vocab_size(), 320);
  EXPECT_EQ(tokenizer.id_of("<|user|>"), 318);
  EXPECT_EQ(tokenizer.id_of("<|end|>"), 319);
  const auto ids = tokenizer.encode(text);
  EXPECT_LT(ids.size(), text.size() / 2);
  EXPECT_EQ(tokenizer.decode(ids), text);
}

TEST(BpeTrainer, DigitsStandAloneIfAsked) {
  BpeTrainer trainer({.vocab_size = 300, .split_pattern = digit_split_pattern});
  trainer.add("123 123 123 1234 ab12 ab12 12 12");
  for (const VocabEntry& entry : trainer.train().vocab) {
    EXPECT_TRUE(entry.bytes.size() == 1 || entry.bytes.find('1') == std::string::npos);
  }
}

TEST(BpeTrainer, SpecialTokensNeverComeOfMerges) {
  BpeTrainer trainer({.vocab_size = 400, .special_tokens = {"ab", "abc"}});
  for (int i = 0; i < 10; ++i) {
    trainer.add("abc ab abcd");
  }
  const TokenizerSpec spec = trainer.train();
  for (const Merge& merge : spec.merges) {
    const std::string& bytes = spec.vocab[static_cast<size_t>(merge.merged)].bytes;
    EXPECT_TRUE(bytes != "ab" && bytes != "abc") << bytes;
  }
  EXPECT_NO_THROW(parse_tokenizer_json(to_tokenizer_json(spec), "trained"));
}

TEST(BpeTrainer, SmallTextsGiveSmallVocabularies) {
  BpeTrainer trainer({.vocab_size = 1000, .special_tokens = {"<|end|>"}});
  EXPECT_EQ(trainer.train().vocab.size(), 257U);
  trainer.add("abab");
  EXPECT_EQ(trainer.train().vocab.size(), 258U);  // "ab"; "abab" occurs once
}

std::string refusal(BpeTrainerOptions options) {
  return testing::fault([&] { BpeTrainer trainer(std::move(options)); });
}

TEST(BpeTrainer, ImpossibleOptionsAreRefused) {
  EXPECT_THAT(refusal({.vocab_size = 256, .special_tokens = {"<|end|>"}}),
              HasSubstr("[vocab_size] 256: expected 257"));
  EXPECT_THAT(refusal({.special_tokens = {"<a>", "<a>"}}), HasSubstr("[special_tokens] \"<a>\""));
  EXPECT_THAT(refusal({.special_tokens = {"é!"}}), HasSubstr("ASCII"));
  EXPECT_THAT(refusal({.split_pattern = "("}), HasSubstr("split pattern"));
}

}  // namespace
}  // namespace sambay
