#include "engine/saved_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "engine/conversation.h"
#include "formats/safetensors.h"
#include "support/fault.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const LoadedModel& model() {
  static const LoadedModel tiny = testing::tiny_model();
  return tiny;
}

ChatSettings with_template() {
  ChatSettings settings;
  settings.chat_template.emplace(
      "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
      "{{ '<|assistant|>' if add_generation_prompt }}",
      "template", TokenizerConfig());
  return settings;
}

ChatSettings with_marks() {
  ChatSettings settings;
  settings.about.multi_turn = true;
  return settings;
}

// Sampled, with everything that has a memory: random numbers and a penalty on what occurred.
ConversationOptions sampled() {
  return {
      .generate = {
          .sampling = {.temperature = 1.5F, .repetition_penalty = 1.3F, .seed = 7, .log_probs = 3},
          .max_tokens = 12}};
}

void expect_same(const Answer& a, const Answer& b) {
  EXPECT_EQ(a.generation.ids, b.generation.ids);
  EXPECT_EQ(a.generation.text, b.generation.text);
  EXPECT_EQ(a.generation.prompt_tokens, b.generation.prompt_tokens);
  ASSERT_EQ(a.generation.tokens.size(), b.generation.tokens.size());
  for (size_t i = 0; i < a.generation.tokens.size(); ++i) {
    const SampledToken &x = a.generation.tokens[i], &y = b.generation.tokens[i];
    EXPECT_EQ(x.log_prob, y.log_prob);
    ASSERT_EQ(x.top.size(), y.top.size());
    for (size_t k = 0; k < x.top.size(); ++k) {
      EXPECT_EQ(x.top[k].id, y.top[k].id);
      EXPECT_EQ(x.top[k].log_prob, y.top[k].log_prob);
    }
  }
}

TEST(SavedChat, GoesOnToTheBitAsIfItHadNeverStopped) {
  const testing::TempDir folder;
  for (const ChatSettings& settings : {with_marks(), with_template()}) {
    Conversation whole(model(), settings, sampled());
    whole.ask("What is 2 times 3?");
    whole.ask("And 4 times 5?");
    const int64_t length = whole.length();
    write_chat(folder / "chat", whole.save());

    const SavedChat saved = read_chat(folder / "chat");
    ConversationOptions others = sampled();  // the sampling that is saved goes first
    others.generate.sampling.temperature = 0;
    others.generate.sampling.seed = 1;
    Conversation resumed(model(), settings, others);
    resumed.restore(saved);
    AnswerSettings answers = saved.settings;
    answers.sampling.log_probs = 3;
    resumed.set(answers);
    EXPECT_EQ(resumed.length(), length);
    EXPECT_EQ(resumed.questions(), 2);
    for (const char* question : {"1+1?", "Again?"}) {
      const Answer expected = whole.ask(question), answer = resumed.ask(question);
      expect_same(answer, expected);
      if (!settings.chat_template) {
        EXPECT_LT(answer.generation.prompt_tokens, 24) << "the history is not computed again";
      }
    }
  }
}

TEST(SavedChat, RandomNumbersAndPenaltiesAreItsOwn) {
  const ChatSettings settings = with_marks();
  ConversationOptions hot = sampled();
  hot.generate.sampling.temperature = 10;
  Conversation first(model(), settings, hot);
  first.ask("1+1?");
  const SavedChat saved = first.save();
  ASSERT_TRUE(saved.session.random);
  EXPECT_GT(saved.session.random->position, 0U);
  const auto next = [&](const SavedChat& chat) {
    Conversation conversation(model(), settings, hot);
    conversation.restore(chat);
    return conversation.ask("Again?").generation.ids;
  };
  const auto ids = next(saved);
  EXPECT_EQ(ids, first.ask("Again?").generation.ids);
  SavedChat changed = saved;
  changed.session.random->position += 1;
  EXPECT_THAT(next(changed), Not(ids));
}

TEST(SavedChat, AnEmptyOneIsOneToo) {
  const testing::TempDir folder;
  const ChatSettings settings = with_marks();
  write_chat(folder / "chat", Conversation(model(), settings, sampled()).save());
  Conversation resumed(model(), settings, sampled());
  resumed.ask("1+1?");
  resumed.restore(read_chat(folder / "chat"));
  EXPECT_EQ(resumed.length(), 0);
  expect_same(resumed.ask("1+1?"), Conversation(model(), settings, sampled()).ask("1+1?"));
}

TEST(SavedChat, AnAnswerThatWasCutOffIsGoneOnFrom) {
  const ChatSettings settings = with_marks();
  Conversation whole(model(), settings, sampled());
  int pieces = 0;
  whole.ask("What is 2 times 3?", [&](const auto&) { return ++pieces < 3; });
  Conversation resumed(model(), settings, sampled());
  resumed.restore(whole.save());
  expect_same(resumed.ask("1+1?"), whole.ask("1+1?"));
}

std::string fault_of(Conversation& conversation, const SavedChat& chat) {
  return testing::fault([&] { conversation.restore(chat); });
}

TEST(SavedChat, AnotherModelsIsRefusedByName) {
  const ChatSettings settings = with_marks(), other_settings = with_template();
  Conversation conversation(model(), settings, sampled());
  conversation.ask("1+1?");
  const SavedChat good = conversation.save();
  const int64_t length = conversation.length();
  SavedChat chat = good;
  chat.partner.model = "another-one";
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("another-one"));
  chat = good;
  chat.partner.weights = "0123456789abcdef";
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("weights 0123456789abcdef"));
  chat = good;
  chat.partner.dtype = "bf16";
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("dtype bf16"));
  Conversation by_template(model(), other_settings, sampled());
  EXPECT_THAT(fault_of(by_template, good), HasSubstr("format of questions"));

  LoadedModel changed = testing::tiny_model();
  const Tensor head = changed.decoder.params().find("lm_head.weight")->weight.value;
  head.data<float>()[head.elements() - 1] += 1;
  Conversation with_changed(changed, settings, sampled());
  EXPECT_THAT(fault_of(with_changed, good), HasSubstr("weights"));
  EXPECT_EQ(conversation.length(), length);
  EXPECT_EQ(fault_of(conversation, good), "");
}

// A file that reads well and does not fit.
TEST(SavedChat, WhatDoesNotFitTheModelChangesNothing) {
  const ChatSettings settings = with_marks();
  Conversation conversation(model(), settings, sampled());
  conversation.ask("1+1?");
  const SavedChat good = conversation.save();
  SavedChat chat = good;
  chat.session.ids[2] = 1 << 20;
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("1048576"));
  chat = good;
  chat.session.ids[2] = -1;
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("-1"));
  chat = good;
  chat.session.ids.resize(3);
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("3 tokens"));
  chat = good;
  chat.session.state[chat.session.state.size() / 2] ^= std::byte{1};
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("damaged"));
  chat = good;
  chat.session.state.clear();
  EXPECT_THAT(fault_of(conversation, chat), HasSubstr("truncated"));
  Conversation resumed(model(), settings, sampled());
  resumed.restore(good);
  expect_same(conversation.ask("Again?"), resumed.ask("Again?"));
}

class SavedChatFile : public ::testing::Test {
 protected:
  void SetUp() override {
    Conversation conversation(model(), settings_, sampled());
    conversation.ask("1+1?");
    write_chat(path_, conversation.save());
    bytes_ = read_text(path_);
    const auto file = Safetensors::open(path_);
    json_ = nlohmann::json::parse(file.metadata().at("chat"));
    ids_ = file.get("ids");
    state_ = file.get("state");
  }
  // What reading a file of these bytes says; one line.
  std::string fault(std::string_view bytes) {
    write_atomically(path_, bytes);
    return fault();
  }
  std::string fault_of(const nlohmann::json& json) {
    write_safetensors(path_, {{"ids", ids_}, {"state", state_}}, {{"chat", json.dump()}});
    return fault();
  }
  std::string fault() {
    std::string message = testing::fault([&] { read_chat(path_); });
    EXPECT_THAT(message, ::testing::AnyOf("", HasSubstr(path_.string())));
    return message;
  }

  ChatSettings settings_ = with_marks();
  testing::TempDir folder_;
  std::filesystem::path path_ = folder_ / "chat";
  std::string bytes_;
  nlohmann::json json_;
  Tensor ids_, state_;
};

TEST_F(SavedChatFile, IsReadFromMemoryToo) {
  const auto chat = parse_chat(Safetensors::parse(std::as_bytes(std::span(bytes_)), "memory"));
  EXPECT_EQ(chat.to_json(), json_);
  EXPECT_EQ(chat.session.ids, read_chat(path_).session.ids);
  EXPECT_EQ(SavedChat::from_json(json_, "json").to_json(), json_);
}

TEST_F(SavedChatFile, TruncatedAndForeignFilesAreRefused) {
  for (size_t size = 0; size < bytes_.size(); size += 1 + bytes_.size() / 50) {
    EXPECT_THAT(fault(std::string_view(bytes_).substr(0, size)), Not("")) << size;
  }
  EXPECT_THAT(fault("What is 2 times 3?\nSix.\n"), Not(""));
  write_safetensors(path_, {{"ids", ids_}, {"state", state_}});
  EXPECT_THAT(fault(), HasSubstr("not a saved chat"));
  write_safetensors(path_, {{"ids", ids_}, {"other", state_}}, {{"chat", json_.dump()}});
  EXPECT_THAT(fault(), HasSubstr("state"));
  write_safetensors(path_, {{"ids", state_}, {"state", state_}}, {{"chat", json_.dump()}});
  EXPECT_THAT(fault(), HasSubstr("ids: expected one dimension"));
  EXPECT_EQ(fault_of(json_), "");
}

TEST_F(SavedChatFile, FaultyFieldsAreNamed) {
  const auto changed = [&](const char* pointer, const nlohmann::json& value) {
    auto json = json_;
    json[nlohmann::json::json_pointer(pointer)] = value;
    return fault_of(json);
  };
  EXPECT_THAT(changed("/version", 2), HasSubstr("version 1"));
  EXPECT_THAT(changed("/more", 1), HasSubstr("more"));
  EXPECT_THAT(changed("/partner/model", 1), HasSubstr("model"));
  EXPECT_THAT(changed("/partner", nullptr), HasSubstr("partner"));
  EXPECT_THAT(changed("/settings/max_tokens", 0), HasSubstr("max_tokens"));
  EXPECT_THAT(changed("/settings/stop_texts", {1}), HasSubstr("stop_texts"));
  EXPECT_THAT(changed("/settings/sampling/top_p", 2), HasSubstr("top_p"));
  EXPECT_THAT(changed("/settings/sampling/temperature", 1e300), HasSubstr("temperature"));
  EXPECT_THAT(changed("/messages", "none"), HasSubstr("messages"));
  EXPECT_THAT(changed("/messages/0/content", 5), HasSubstr("messages[0]"));
  EXPECT_THAT(changed("/messages/0/tool", "x"), HasSubstr("tool"));
  EXPECT_THAT(changed("/random/seed", "x"), HasSubstr("seed"));
  EXPECT_THAT(changed("/unfinished", 1), HasSubstr("unfinished"));
  write_safetensors(path_, {{"ids", ids_}, {"state", state_}}, {{"chat", std::string(5000, '[')}});
  EXPECT_THAT(fault(), Not(""));
}

}  // namespace
}  // namespace sambay
