#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "support/temp_dir.h"
#include "text/normalizer.h"
#include "text/utf8.h"

namespace sambay {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;

std::filesystem::path data(const char* name) {
  return std::filesystem::path(SAMBAY_TEST_DATA) / name;
}

const Tokenizer& small() {
  static const Tokenizer tokenizer = Tokenizer::load(data("small.tokenizer.json"));
  return tokenizer;
}

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(Json::parse(line));
  }
  return lines;
}

// Bytes only, and the added tokens given.
Tokenizer bytes_and(std::vector<AddedToken> added) {
  TokenizerSpec spec;
  spec.vocab.resize(256 + added.size());
  for (int byte = 0; byte < 256; ++byte) {
    spec.vocab[static_cast<size_t>(byte)].bytes = static_cast<char>(byte);
  }
  for (size_t i = 0; i < added.size(); ++i) {
    added[i].id = static_cast<int32_t>(256 + i);
    spec.vocab[256 + i] = {added[i].content, true};
  }
  spec.added = std::move(added);
  return Tokenizer(std::move(spec));
}

// Answers of Hugging Face's library: tests/reference/check_tokenizer.py.
TEST(Tokenizer, EqualsTheReferenceOnItsAnswers) {
  const auto goldens = lines_of(data("small_goldens.jsonl"));
  ASSERT_GT(goldens.size(), 200U);
  for (const Json& golden : goldens) {
    const auto text = golden["text"].get<std::string>();
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(small().encode(text), ids) << text;
    EXPECT_EQ(small().decode(ids), text);
    EXPECT_EQ(small().decode(ids, true), golden["decoded"].get<std::string>());
  }
}

// The same with normalizers and with added tokens that are sought before and after them.
TEST(Tokenizer, EqualsTheReferenceWithEachNormalizer) {
  auto goldens = lines_of(data("normalizer_goldens.jsonl"));
  ASSERT_GT(goldens.size(), 150U);
  Json json = Json::parse(read_text(data("small.tokenizer.json")));
  for (const Json& token : json["added_tokens"]) {
    json["model"]["vocab"].erase(token["content"].get<std::string>());
  }
  json["added_tokens"] = goldens[0]["added_tokens"];
  for (const Json& token : json["added_tokens"]) {
    json["model"]["vocab"][token["content"].get<std::string>()] = token["id"];
  }
  json["normalizer"] = "none yet";
  std::optional<Tokenizer> tokenizer;
  for (size_t i = 1; i < goldens.size(); ++i) {
    if (json["normalizer"] != goldens[i]["normalizer"]) {
      json["normalizer"] = goldens[i]["normalizer"];
      tokenizer.emplace(parse_tokenizer_json(json.dump(), "test"));
    }
    const auto text = goldens[i]["text"].get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), goldens[i]["ids"].get<std::vector<int32_t>>())
        << text << json["normalizer"];
  }
}

TEST(Tokenizer, AnyBytesBecomeWhatTheNormalizerMakesOfThem) {
  TokenizerSpec spec = small().spec();
  spec.normalizer = {{.kind = NormalizerStep::Kind::nfkd},
                     {.kind = NormalizerStep::Kind::strip, .strip_right = true},
                     {.kind = NormalizerStep::Kind::lowercase}};
  const Normalizer normalizer(spec.normalizer, "test");
  const Tokenizer tokenizer(spec);
  Rng rng(8);
  std::string storage;
  for (int round = 0; round < 500; ++round) {
    std::string bytes;
    for (uint64_t i = rng.below(40); i > 0; --i) {
      if (rng.below(2) == 0) {
        append_utf8(bytes, static_cast<uint32_t>(rng.below(0xd800)));
      } else {
        bytes += static_cast<char>(rng.below(256));
      }
    }
    EXPECT_EQ(tokenizer.decode_bytes(tokenizer.encode(bytes, AddedTokens::as_text)),
              normalizer.apply(bytes, storage));
  }
}

TEST(Tokenizer, ANormalizedTokenDecodesToWhatItIsSoughtAs) {
  TokenizerSpec spec =
      bytes_and({{.content = "ABΣ", .normalized = true}, {.content = "AB"}}).spec();
  spec.normalizer = {{.kind = NormalizerStep::Kind::lowercase}};
  const Tokenizer tokenizer(spec);
  EXPECT_THAT(tokenizer.encode("abσ aBΣ AB"), ElementsAre(256, ' ', 256, ' ', 257));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{256, 257}), "abσAB");
  EXPECT_EQ(tokenizer.id_of("ABΣ"), 256);
}

TEST(Tokenizer, AnyBytesSurviveTheRoundTrip) {
  Rng rng(3);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (uint64_t i = rng.below(60); i > 0; --i) {
      bytes += static_cast<char>(rng.below(3) == 0 ? rng.below(256) : ' ' + rng.below(90));
    }
    for (const auto added : {AddedTokens::recognised, AddedTokens::as_text}) {
      EXPECT_EQ(small().decode_bytes(small().encode(bytes, added)), bytes);
    }
  }
}

// Text that no pattern cuts, and much of it: neither stack nor a limit nor the square of its
// length.
TEST(Tokenizer, LongWordsSurviveTheRoundTrip) {
  Rng rng(5);
  std::string letters, spaces(2'000'000, ' '), zeros(300'000, '\0');
  while (letters.size() < 2'000'000) {
    letters += static_cast<char>('a' + rng.below(26));
  }
  const std::string text = letters + spaces + zeros + letters.substr(0, 100'000) + "\xff";
  const auto ids = small().encode(text, AddedTokens::as_text);
  EXPECT_TRUE(small().decode_bytes(ids) == text);
  EXPECT_LT(ids.size(), text.size());
}

TEST(Tokenizer, StreamedTextIsTheWholeText) {
  Rng rng(4);
  for (int round = 0; round < 300; ++round) {
    std::vector<int32_t> ids;
    for (uint64_t i = rng.below(20); i > 0; --i) {
      ids.push_back(static_cast<int32_t>(rng.below(2) == 0 ? rng.below(256) : rng.below(610)));
    }
    for (const bool skip : {false, true}) {
      StreamDecoder stream(small(), skip);
      std::string text;
      for (const int32_t id : ids) {
        const std::string part = stream.push(id);
        text += part;
      }
      text += stream.finish();
      EXPECT_EQ(text, small().decode(ids, skip));
    }
  }
}

TEST(Tokenizer, AStreamHoldsACharacterBackUntilItIsComplete) {
  const Tokenizer tokenizer = bytes_and({});
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push('a'), "a");
  EXPECT_EQ(stream.push(0xf0), "");
  EXPECT_EQ(stream.push(0x9f), "");
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(0xe2), "");
  EXPECT_EQ(stream.push('b'), "\ufffdb");
  EXPECT_EQ(stream.push(0xc3), "");
  EXPECT_EQ(stream.finish(), "\ufffd");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Tokenizer, MarksInTextCountOnlyWhereAllowed) {
  const int32_t end = small().id_of("<|end|>").value();
  EXPECT_THAT(small().encode("<|end|>"), ElementsAre(end));
  const auto as_text = small().encode("<|end|>", AddedTokens::as_text);
  EXPECT_EQ(std::count(as_text.begin(), as_text.end(), end), 0);
  EXPECT_EQ(small().decode(as_text), "<|end|>");
  EXPECT_TRUE(small().is_special(end));
  EXPECT_EQ(small().decode(std::vector<int32_t>{end}, true), "");
}

TEST(Tokenizer, TheLongestAddedTokenWinsAtEachPlace) {
  const Tokenizer tokenizer =
      bytes_and({{.content = "<a"}, {.content = "<a>"}, {.content = "a>b"}});
  EXPECT_THAT(tokenizer.encode("<a>b"), ElementsAre(257, 'b'));
  EXPECT_THAT(tokenizer.encode("<a.a>b<a"), ElementsAre(256, '.', 258, 256));
}

TEST(Tokenizer, StrippingTokensTakeTheWhiteSpaceBesideThem) {
  const Tokenizer tokenizer =
      bytes_and({{.content = "<l>", .lstrip = true}, {.content = "<r>", .rstrip = true}});
  EXPECT_THAT(tokenizer.encode("a \u3000\n<l> b"), ElementsAre('a', 256, ' ', 'b'));
  EXPECT_THAT(tokenizer.encode("a <r>\t\u00a0b"), ElementsAre('a', ' ', 257, 'b'));
  EXPECT_THAT(tokenizer.encode("<r>  <l>"), ElementsAre(257, 256));
}

TEST(Tokenizer, SingleWordTokensStandAlone) {
  const Tokenizer tokenizer = bytes_and({{.content = "it", .single_word = true}});
  EXPECT_THAT(tokenizer.encode("it bit, it"), ElementsAre(256, ' ', 'b', 'i', 't', ',', ' ', 256));
  EXPECT_THAT(tokenizer.encode("it_"), ElementsAre('i', 't', '_'));
}

// Of what is beyond ASCII, letters and marks are part of a word, signs are not.
TEST(Tokenizer, SingleWordsEndWhereUnicodeSaysSo) {
  const Tokenizer tokenizer = bytes_and({{.content = "it", .single_word = true}});
  EXPECT_EQ(tokenizer.encode("ité").size(), 4U);
  EXPECT_EQ(tokenizer.encode("it́").size(), 4U);
  EXPECT_EQ(tokenizer.encode("①it▁").size(), 7U);
}

TEST(Tokenizer, WhiteSpaceATokenTakesMayBeginAnother) {
  const Tokenizer tokenizer = bytes_and(
      {{.content = "<r>", .rstrip = true}, {.content = " q"}, {.content = "  ", .rstrip = true}});
  EXPECT_THAT(tokenizer.encode("<r> q"), ElementsAre(256, 257));
  EXPECT_EQ(tokenizer.encode(std::string(1'000'000, ' ')).size(), 500'000U);
}

TEST(Tokenizer, NormalizedTokensAreSoughtInWhatTheOthersLeave) {
  const Tokenizer tokenizer =
      bytes_and({{.content = "xab", .normalized = true}, {.content = "bc"}});
  EXPECT_THAT(tokenizer.encode("xabc xab"), ElementsAre('x', 'a', 257, ' ', 256));
}

TEST(Tokenizer, UnknownIdsDecodeToNothing) {
  EXPECT_EQ(small().decode(std::vector<int32_t>{-1, 1 << 30, small().vocab_size()}), "");
  EXPECT_FALSE(small().is_special(-1));
  EXPECT_EQ(small().id_of("no such token"), std::nullopt);
  EXPECT_EQ(small().vocab_size(), 600);
}

TEST(Tokenizer, ThreadsShareOne) {
  const Tokenizer tokenizer = Tokenizer::load(data("small.tokenizer.json"));
  const auto goldens = lines_of(data("small_goldens.jsonl"));
  std::vector<std::thread> threads;
  std::vector<int> wrong(3);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const Json& golden : goldens) {
        const auto ids = tokenizer.encode(golden["text"].get_ref<const std::string&>());
        wrong[t] += ids == golden["ids"].get<std::vector<int32_t>>() ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0));
}

TEST(Tokenizer, AFolderStandsForTheFileInIt) {
  const testing::TempDir dir;
  std::filesystem::copy_file(data("small.tokenizer.json"), dir / "tokenizer.json");
  EXPECT_EQ(Tokenizer::load(dir.path()).vocab_size(), 600);
  EXPECT_THROW(Tokenizer::load(dir / "missing"), Error);
}

// With a folder of large published data at hand; see the goldens there.
TEST(Tokenizer, EqualsTheReferenceOnALargeVocabulary) {
  const char* folder = std::getenv("SAMBAY_SHARED_DATA");
  if (folder == nullptr) {
    GTEST_SKIP() << "SAMBAY_SHARED_DATA is not set";
  }
  const std::filesystem::path shared(folder);
  const testing::TempDir dir;
  const auto unpacked = dir / "tokenizer.json";
  const std::string unpack =
      "gzip -dc '" + (shared / "o200k.tokenizer.json.gz").string() + "' > " + unpacked.string();
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  const Tokenizer tokenizer = Tokenizer::load(unpacked);
  for (const Json& golden : lines_of(shared / "o200k_goldens.jsonl")) {
    const auto text = golden["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), golden["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(tokenizer.encode(text, AddedTokens::as_text),
              golden["ids_plain"].get<std::vector<int32_t>>());
  }
  for (const Json& golden : lines_of(shared / "tokenizer" / "decode_goldens.jsonl")) {
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.decode(ids), golden["text"].get<std::string>());
    EXPECT_EQ(tokenizer.decode(ids, true), golden["text_skip_special"].get<std::string>());
  }
}

}  // namespace
}  // namespace sambay
