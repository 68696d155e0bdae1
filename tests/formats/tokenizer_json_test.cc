#include "formats/tokenizer_json.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// The 256 bytes, "ab", "abc" and one added token.
Json minimal() {
  Json vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    vocab[to_byte_level({&one, 1})] = byte_level_id(static_cast<unsigned char>(byte));
  }
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  return {{"version", "1.0"},
          {"added_tokens", {{{"id", 258}, {"content", "<|end|>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", {"ab", "c"}}}}}};
}

TokenizerSpec parsed(const Json& json) {
  return parse_tokenizer_json(json.dump(), "t.json");
}

std::string refusal(const std::string& text) {
  return testing::fault([&] { parse_tokenizer_json(text, "t.json"); });
}

// What is said when the value at a JSON pointer is another.
std::string refusal_with(const char* pointer, const Json& value) {
  Json json = minimal();
  json[Json::json_pointer(pointer)] = value;
  const std::string message = refusal(json.dump());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

TEST(TokenizerJson, AMinimalFileIsRead) {
  const TokenizerSpec spec = parsed(minimal());
  EXPECT_EQ(spec.vocab.size(), 259U);
  EXPECT_EQ(spec.vocab[257].bytes, "abc");
  ASSERT_EQ(spec.merges.size(), 2U);  // one as "a b", one as a pair
  EXPECT_EQ(spec.merges[1].left, 256);
  EXPECT_EQ(spec.merges[1].merged, 257);
  ASSERT_EQ(spec.added.size(), 1U);
  EXPECT_EQ(spec.added[0].content, "<|end|>");
  EXPECT_TRUE(spec.added[0].special);
  EXPECT_FALSE(spec.added[0].normalized);
  ASSERT_EQ(spec.splits.size(), 1U);
  EXPECT_EQ(spec.splits[0].pattern, gpt2_split_pattern);
}

TEST(TokenizerJson, WhatIsWrittenIsReadBack) {
  TokenizerSpec spec = parsed(minimal());
  spec.splits.push_back({"\\s+|\"\\\\", false, true});
  spec.splits.push_back({"é", true, false});
  spec.added[0].rstrip = true;
  spec.ignore_merges = true;
  const TokenizerSpec back = parse_tokenizer_json(to_tokenizer_json(spec), "written");
  EXPECT_EQ(to_tokenizer_json(back), to_tokenizer_json(spec));
  ASSERT_EQ(back.splits.size(), 3U);
  EXPECT_EQ(back.splits[1].pattern, "\\s+|\"\\\\");
  EXPECT_FALSE(back.splits[1].keep_matches);
  EXPECT_FALSE(back.splits[2].keep_gaps);
  EXPECT_TRUE(back.added[0].rstrip);
  EXPECT_TRUE(back.ignore_merges);
  EXPECT_EQ(back.merges[1].merged, spec.merges[1].merged);
}

TEST(TokenizerJson, TheByteLevelAlphabetIsGpt2s) {
  EXPECT_EQ(to_byte_level("a b\n"), "aĠbĊ");
  EXPECT_EQ(to_byte_level(std::string_view("\x00\x7f\xa0\xad\xff", 5)),
            "\u0100\u0121\u0142\u0143\u00ff");
  EXPECT_EQ(byte_level_id('!'), 0);
  EXPECT_EQ(byte_level_id(0xff), 187);
  EXPECT_EQ(byte_level_id(0), 188);
  std::set<int> ids;
  for (int byte = 0; byte < 256; ++byte) {
    ids.insert(byte_level_id(static_cast<unsigned char>(byte)));
  }
  EXPECT_EQ(ids.size(), 256U);
  EXPECT_EQ(*ids.rbegin(), 255);
}

TEST(TokenizerJson, NamesOutsideTheAlphabetStandForThemselves) {
  Json json = minimal();
  json["added_tokens"][0]["content"] = "<｜end of▁turn｜>";
  const TokenizerSpec spec = parsed(json);
  EXPECT_EQ(spec.vocab[258].bytes, "<｜end of▁turn｜>");
  EXPECT_TRUE(spec.vocab[258].literal);
}

TEST(TokenizerJson, SplitsOfEveryKindAreRead) {
  Json json = minimal();
  json["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"String": "a.b"}, "behavior": "Removed", "invert": false},
      {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Removed", "invert": true},
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})");
  const auto splits = parsed(json).splits;
  ASSERT_EQ(splits.size(), 3U);
  EXPECT_EQ(splits[0].pattern, "a\\.b");
  EXPECT_TRUE(!splits[0].keep_matches && splits[0].keep_gaps);
  EXPECT_TRUE(splits[1].keep_matches && !splits[1].keep_gaps);
  EXPECT_EQ(splits[2].pattern, "\\p{N}");
}

TEST(TokenizerJson, NormalizersAreWrittenAsRead) {
  for (const char* normalizer :
       {R"(null)", R"({"type":"NFC"})",
        R"({"normalizers":[{"type":"NFD"},{"type":"NFKC"},{"type":"NFKD"},{"type":"Lowercase"},)"
        R"({"strip_left":true,"strip_right":false,"type":"Strip"},{"type":"StripAccents"},)"
        R"({"prepend":"\u2581 \"","type":"Prepend"},)"
        R"({"content":"","pattern":{"String":"a.b"},"type":"Replace"},)"
        R"({"content":"$1","pattern":{"Regex":"a.b"},"type":"Replace"}],"type":"Sequence"})"}) {
    Json json = minimal();
    json["normalizer"] = Json::parse(normalizer);
    const std::string written = to_tokenizer_json(parsed(json));
    EXPECT_EQ(Json::parse(written)["normalizer"], json["normalizer"]);
    EXPECT_EQ(to_tokenizer_json(parse_tokenizer_json(written, "written")), written);
  }
}

TEST(TokenizerJson, SequencesOfNormalizersAreTheirParts) {
  const auto steps_of = [](const char* normalizer) {
    Json json = minimal();
    json["normalizer"] = Json::parse(normalizer);
    return parsed(json).normalizer.size();
  };
  EXPECT_EQ(steps_of(R"({"type":"Sequence","normalizers":[]})"), 0U);
  EXPECT_EQ(steps_of(R"({"type":"Sequence","normalizers":[{"type":"NFC"},
      {"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"NFC"}]}]})"),
            3U);
}

TEST(TokenizerJson, NormalizersBeyondThoseAreRefusedByName) {
  EXPECT_EQ(refusal_with("/normalizer", {{"type", "Precompiled"}}),
            "[t.json: normalizer.type] expected NFC, NFD, NFKC, NFKD, Lowercase, Strip, "
            "StripAccents, Prepend, Replace or a Sequence of them, got \"Precompiled\"");
  EXPECT_EQ(refusal_with("/normalizer", "NFC"),
            "[t.json: normalizer] expected an object, got \"NFC\"");
  EXPECT_THAT(refusal_with("/normalizer", Json::parse(R"({"type":"Sequence","normalizers":[
                                                          {"type":"NFC"},{"type":"Nmt"}]})")),
              HasSubstr("[t.json: normalizer.normalizers[1].type]"));
  EXPECT_EQ(refusal_with("/normalizer", {{"type", "Strip"}, {"strip_left", true}}),
            "[t.json: normalizer.strip_right] expected true or false, got null");
  EXPECT_EQ(refusal_with("/normalizer", {{"type", "Prepend"}}),
            "[t.json: normalizer.prepend] expected a string, got null");
  EXPECT_EQ(refusal_with("/normalizer", {{"type", "Replace"}, {"content", ""}, {"pattern", "a"}}),
            "[t.json: normalizer.pattern] expected an object, got \"a\"");
  EXPECT_EQ(refusal_with("/normalizer",
                         {{"type", "Replace"}, {"content", ""}, {"pattern", {{"String", ""}}}}),
            "[t.json: normalizer.pattern.String] expected at least one character");
}

// A token of the 259 more makes the highest id 16 more.
TEST(TokenizerJson, IdsMayLeaveGapsInProportionToTheirTokens) {
  Json json = minimal();
  json["added_tokens"][0]["id"] = 4143;
  EXPECT_EQ(parsed(json).vocab.size(), 4144U);
  json["added_tokens"][0]["id"] = 4144;
  EXPECT_EQ(refusal(json.dump()),
            "[t.json: added_tokens[0].id] expected an id from 0 to 4143, got 4144");
  json["added_tokens"].push_back({{"id", 258}, {"content", "<|user|>"}});
  EXPECT_EQ(parsed(json).vocab.size(), 4145U);
}

TEST(TokenizerJson, FaultsAreNamedOnOneLine) {
  EXPECT_THAT(refusal("{"), HasSubstr("[t.json] not JSON"));
  EXPECT_THAT(refusal("{\n\"a\" \n\x01"), Not(HasSubstr("\n")));
  EXPECT_THAT(refusal("{\"a\": 1e999}"), HasSubstr("[t.json] not JSON"));
  EXPECT_EQ(refusal("[]"), "[t.json] expected an object, got a list");
  EXPECT_EQ(refusal_with("/model/type", "Unigram"),
            "[t.json: model.type] expected \"BPE\", got \"Unigram\"");
  EXPECT_EQ(refusal_with("/model/vocab", 3), "[t.json: model.vocab] expected an object, got 3");
  EXPECT_EQ(refusal_with("/model/vocab/ab", "256"),
            "[t.json: model.vocab.ab] expected an id from 0 to 4143, got \"256\"");
  EXPECT_EQ(refusal_with("/model/vocab/ab", 2000000000),
            "[t.json: model.vocab.ab] expected an id from 0 to 4143, got 2000000000");
  EXPECT_THAT(refusal_with("/model/vocab/ab", -1), HasSubstr("got -1"));
  EXPECT_THAT(refusal_with("/model/vocab/ab", 1.5), HasSubstr("got 1.5"));
  EXPECT_THAT(refusal_with("/model/vocab/abc", 256), HasSubstr("belongs to another token"));
  EXPECT_EQ(refusal_with("/model/merges", {"a b", "x y"}),
            "[t.json: model.merges[1]] \"xy\" is not in the vocabulary");
  EXPECT_EQ(refusal_with("/model/merges/0", "a zz"),
            "[t.json: model.merges[0]] \"zz\" is not in the vocabulary");
  for (const Json& merge : {Json("ab"), Json(" a"), Json("a "), Json({"a", "b", "c"}),
                            Json({"", "a"}), Json(7), Json()}) {
    EXPECT_THAT(refusal_with("/model/merges/0", merge), HasSubstr("expected two tokens"));
  }
  // "ab" and "abc" can be cut in two in 3 ways.
  EXPECT_EQ(refusal_with("/model/merges", Json::array({"a b", "a b", "a b", "a b"})),
            "[t.json: model.merges] 4 merges: the tokens can be cut in two in 3 ways");
  EXPECT_THAT(refusal_with("/model/merges/0", {"a", 3}),
              HasSubstr("merges[0][1]] expected a string"));
  EXPECT_THAT(refusal_with("/model/byte_fallback", true), HasSubstr("byte_fallback"));
  EXPECT_THAT(refusal_with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(refusal_with("/decoder/type", "WordPiece"), HasSubstr("[t.json: decoder.type]"));
  EXPECT_THAT(refusal_with("/decoder", nullptr), HasSubstr("[t.json: decoder]"));
  EXPECT_THAT(refusal_with("/pre_tokenizer/add_prefix_space", true), HasSubstr("expected false"));
  EXPECT_THAT(refusal_with("/pre_tokenizer/type", "Metaspace"), HasSubstr("got \"Metaspace\""));
  EXPECT_THAT(refusal_with("/pre_tokenizer", {{"type", "Digits"}}),
              HasSubstr("expected ByteLevel"));
  EXPECT_THAT(refusal_with("/added_tokens/0/id", 3), HasSubstr("belongs to another token"));
  EXPECT_THAT(refusal_with("/added_tokens/0/content", ""), HasSubstr("at least one character"));
  EXPECT_THAT(refusal_with("/added_tokens/0/content", "ab"), HasSubstr("has id 256 already"));
  EXPECT_THAT(refusal_with("/added_tokens/0/special", "yes"), HasSubstr("expected true or false"));
}

TEST(TokenizerJson, EveryByteNeedsAToken) {
  Json json = minimal();
  json["model"]["vocab"].erase("Ġ");
  EXPECT_EQ(refusal(json.dump()), "[t.json: model.vocab] no token for byte 0x20");
}

TEST(TokenizerJson, AnEnormousFileIsRefusedUnread) {
  const testing::TempDir folder;
  const auto file = folder / "tokenizer.json";
  std::ofstream(file) << "{";
  std::filesystem::resize_file(file, 200'000'000);  // sparse
  EXPECT_EQ(testing::fault([&] { read_tokenizer_json(file); }),
            "[" + file.string() + "] 200000000 bytes: expected at most 50000000");
}

TEST(TokenizerJson, DeepNestingIsAnError) {
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("nested deeper than"));
  Json json = minimal();
  Json inner = json["pre_tokenizer"];
  for (int i = 0; i < 3; ++i) {
    inner = {{"type", "Sequence"}, {"pretokenizers", {inner}}};
  }
  json["pre_tokenizer"] = inner;
  EXPECT_THAT(refusal(json.dump()), HasSubstr("no Sequence within a Sequence"));
}

}  // namespace
}  // namespace sambay
