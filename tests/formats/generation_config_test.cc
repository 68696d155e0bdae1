#include "formats/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/fault.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string fault_of(std::string_view text) {
  return testing::fault([&] { parse_generation_config(text, "g"); });
}

TEST(GenerationConfig, WhatItSaysIsRead) {
  const auto config = parse_generation_config(
      R"({"_from_model_config": true, "bos_token_id": 199999, "do_sample": true, "eos_token_id": [200020, 199999],
          "max_new_tokens": 32768, "max_length": 65536, "min_p": 0.05, "pad_token_id": 199999,
          "repetition_penalty": 1.1, "stop_strings": "END", "temperature": 0.6, "top_k": 20, "top_p": 0.95,
          "transformers_version": "4.46.1"})",
      "g");
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.temperature, 0.6);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.95);
  EXPECT_EQ(config.min_p, 0.05);
  EXPECT_EQ(config.repetition_penalty, 1.1);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(200020, 199999));
  EXPECT_THAT(config.stop_strings, ElementsAre("END"));
  EXPECT_EQ(config.max_new_tokens, 32768);
  EXPECT_EQ(config.max_length, 65536);
}

TEST(GenerationConfig, WhatItLeavesOutIsHuggingFacesDefault) {
  const auto config = parse_generation_config(R"({"eos_token_id": 2, "top_p": null})", "g");
  EXPECT_FALSE(config.do_sample);
  EXPECT_EQ(config.top_k, 50);
  EXPECT_EQ(config.top_p, 1);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
  EXPECT_FALSE(config.max_new_tokens.has_value());
}

TEST(GenerationConfig, FieldsThatChangeNothingAreIgnored) {
  EXPECT_EQ(
      fault_of(R"({"num_beams": 1, "typical_p": 1.0, "no_repeat_ngram_size": 0, "use_cache": false,
                         "bad_words_ids": null, "token_healing": false, "length_penalty": 2.0,
                         "something_new": null, "guidance_scale": 1})"),
      "");
}

TEST(GenerationConfig, WhatCannotBeDoneIsRefusedByName) {
  for (const auto& [text, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({"num_beams": 4})", "num_beams: 4 is not supported: expected 1"},
           {R"({"typical_p": 0.9})", "typical_p: 0.9 is not supported: expected 1.0"},
           {R"({"bad_words_ids": [[1]]})", "bad_words_ids"},
           {R"({"token_healing": true})", "token_healing: true is not supported"},
           {R"({"something_new": 1})", "something_new: 1 is not supported"},
           {R"({"temperature": -1})", "temperature: -1 is not from 0"},
           {R"({"temperature": "hot"})", "temperature"},
           {R"({"top_k": 2.5})", "top_k"},
           {R"({"top_p": 1.5})", "top_p"},
           {R"({"eos_token_id": "x"})", "eos_token_id: \"x\" is no token id"},
           {R"({"eos_token_id": [-1]})", "eos_token_id: -1"},
           {R"({"max_new_tokens": 0})", "max_new_tokens"},
           {R"({"stop_strings": [""]})", "stop_strings"},
           {"[]", "expected an object"},
           {"{", "not JSON"}}) {
    EXPECT_THAT(fault_of(text), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace sambay
