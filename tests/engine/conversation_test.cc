#include "engine/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/fault.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

using testing::fault;
using ::testing::HasSubstr;

const LoadedModel& model() {
  static const LoadedModel tiny = testing::tiny_model();
  return tiny;
}

// Our own format as a template, with something in front of what is asked for.
constexpr const char* plain_template =
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{{ '<|assistant|>' if add_generation_prompt }}";

ChatSettings with_template(std::string_view source) {
  ChatSettings settings;
  settings.chat_template.emplace(source, "template", TokenizerConfig());
  return settings;
}

ConversationOptions options(int64_t max_tokens) {
  return {.generate = {.max_tokens = max_tokens}};
}

// Greedily, from an empty state.
Generation generate(const std::string& prompt, int64_t max_tokens) {
  const auto end = model().tokenizer.id_of("<|end|>");
  return Session(model()).generate(model().tokenizer.encode(prompt),
                                   {.max_tokens = max_tokens, .stop_ids = {*end}});
}

TEST(Conversation, ATemplateMakesThePrompt) {
  ChatSettings settings = with_template(plain_template);
  settings.tokenizer.special_tokens = {{"eos_token", "<|end|>"}};
  Conversation conversation(model(), settings, options(12));
  const Answer answer = conversation.ask("What is 2 times 3?");
  const auto expected = generate("<|user|>What is 2 times 3?<|end|><|assistant|>", 12);
  EXPECT_EQ(answer.generation.ids, expected.ids);
  EXPECT_EQ(answer.thinking + answer.answer, expected.text);
  EXPECT_EQ(Conversation(model(), {}, options(12)).ask("What is 2 times 3?").generation.ids,
            expected.ids)
      << "without a template the tokenizer's own marks do it";
}

TEST(Conversation, OnlyWhatIsNewIsComputed) {
  // Tokens of an answer come back from its text as other tokens, unless each is one character.
  const ChatSettings settings = with_template(plain_template);
  Conversation conversation(model(), settings, options(1));
  const auto first = conversation.ask("1+1?").generation;
  const auto second = conversation.ask("+1?").generation;
  const std::string history = "<|user|>1+1?<|end|><|assistant|>" + first.text;
  const std::string whole = history + "<|end|><|user|>+1?<|end|><|assistant|>";
  EXPECT_EQ(second.ids, generate(whole, 1).ids);
  const auto all = std::ssize(model().tokenizer.encode(whole));
  if (model().tokenizer.encode(first.text) == first.ids) {
    EXPECT_LT(second.prompt_tokens, all);
  }
}

TEST(Conversation, ATemplateThatChangesHistoryStartsAnew) {
  const ChatSettings settings =
      with_template("{% set messages = messages[-1:] %}" + std::string(plain_template));
  Conversation conversation(model(), settings, options(5));
  conversation.ask("1+1?");
  EXPECT_EQ(conversation.ask("2+2?").generation.ids,
            generate("<|user|>2+2?<|end|><|assistant|>", 5).ids);
}

TEST(Conversation, TheSystemTextGoesFirst) {
  const ChatSettings settings = with_template(plain_template);
  ConversationOptions told = options(5);
  told.system = "Be terse.";
  for (int turn = 0; turn < 2; ++turn) {
    Conversation conversation(model(), settings, told);
    EXPECT_EQ(conversation.ask("1+1?").generation.ids,
              generate("<|system|>Be terse.<|end|><|user|>1+1?<|end|><|assistant|>", 5).ids);
  }
  EXPECT_THROW(Conversation(model(), {}, told), Error);
}

TEST(Conversation, ARefusedQuestionLeavesNoTrace) {
  const ChatSettings settings = with_template(
      "{% if messages[-1].content == 'no' %}{{ raise_exception('not that') }}{% endif %}" +
      std::string(plain_template));
  Conversation conversation(model(), settings, options(5));
  EXPECT_THAT(fault([&] { conversation.ask("no"); }), HasSubstr("not that"));
  EXPECT_EQ(conversation.ask("1+1?").generation.ids,
            generate("<|user|>1+1?<|end|><|assistant|>", 5).ids);
}

TEST(Conversation, ThinkingThatTheTemplateOpensIsNoAnswer) {
  const ChatSettings settings = with_template(std::string(plain_template) + "<think>\n\n");
  Conversation conversation(model(), settings, options(5));
  std::string shown;
  const Answer answer = conversation.ask("1+1?", [&](const ThinkingSplitter::Part& part) {
    EXPECT_TRUE(part.thinking || part.text.empty());
    shown += part.text;
    return true;
  });
  EXPECT_EQ(answer.answer, "");
  EXPECT_EQ(answer.thinking, answer.generation.text);
  EXPECT_EQ(shown, answer.generation.text);
}

TEST(Conversation, TooLongThinkingIsEnded) {
  const ChatSettings settings = with_template(std::string(plain_template) + "<think>");
  const auto mark = model().tokenizer.encode("</think>");
  const std::string prompt = "<|user|>1+1?<|end|><|assistant|><think>";
  // What the model says before the mark, and what it goes on with behind it.
  Session session(model());
  const auto before = session.generate(model().tokenizer.encode(prompt), {.max_tokens = 3}).ids;
  const auto behind = session.generate(mark, {.max_tokens = 4}).ids;
  auto expected = before;
  expected.insert(expected.end(), mark.begin(), mark.end());
  expected.insert(expected.end(), behind.begin(), behind.end());

  ConversationOptions limited = options(7);
  limited.max_thinking_tokens = 3;
  Conversation conversation(model(), settings, limited);
  const Answer answer = conversation.ask("1+1?");
  EXPECT_EQ(answer.generation.ids, expected);
  EXPECT_EQ(answer.generation.sampled_tokens, 7);
  EXPECT_THAT(answer.thinking, HasSubstr("</think>"));
  EXPECT_EQ(answer.thinking + answer.answer, answer.generation.text);
}

// As reasoning models' templates do: of earlier answers only what follows the thinking remains.
TEST(Conversation, ThinkingThatTheTemplateLeavesOutOfHistoryIsForgotten) {
  ChatSettings settings = with_template(
      "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content.split('+')[-1] + '<|end|>' }}"
      "{% endfor %}{{ '<|assistant|><think>' if add_generation_prompt }}");
  // The end of thinking is put in, so that there is some, and an answer behind it.
  ConversationOptions limited = options(9);
  limited.max_thinking_tokens = 3;
  settings.about.thinking = ThinkingMarks{"<think>", "+"};
  Conversation conversation(model(), settings, limited);
  const Answer first = conversation.ask("1");
  ASSERT_THAT(first.thinking, HasSubstr("+"));
  const std::string kept =
      first.generation.text.substr(first.generation.text.find_last_of('+') + 1);
  conversation.set({.max_tokens = 5, .max_thinking_tokens = 100});
  const Answer second = conversation.ask("2");
  const std::string prompt =
      "<|user|>1<|end|><|assistant|>" + kept + "<|end|><|user|>2<|end|><|assistant|><think>";
  EXPECT_EQ(second.generation.ids, generate(prompt, 5).ids);
  EXPECT_EQ(second.generation.prompt_tokens, std::ssize(model().tokenizer.encode(prompt)));
}

TEST(Conversation, AQuestionThatFailsCountsAsNotAsked) {
  const ChatSettings settings = with_template(plain_template);
  ConversationOptions limited = options(2);
  limited.max_length = 30;
  Conversation conversation(model(), settings, limited);
  EXPECT_THROW(conversation.ask(std::string(100, '1')), Error);
  EXPECT_EQ(conversation.ask("1+1?").generation.ids,
            generate("<|user|>1+1?<|end|><|assistant|>", 2).ids);
  EXPECT_EQ(conversation.questions(), 1);
}

TEST(Conversation, ItEndsAtItsLength) {
  const ChatSettings settings = with_template(plain_template);
  ConversationOptions limited = options(100);
  const auto prompt = std::ssize(model().tokenizer.encode("<|user|>1?<|end|><|assistant|>"));
  limited.max_length = prompt + 2;
  Conversation conversation(model(), settings, limited);
  EXPECT_LE(conversation.ask("1?").generation.sampled_tokens, 2);
  EXPECT_THROW(conversation.ask("1?"), Error);
}

TEST(GenerationDefaults, SamplingIsOffUnlessAskedFor) {
  GenerationConfig config;
  config.temperature = 0.5;
  config.repetition_penalty = 1.5;
  EXPECT_EQ(to_defaults(config).sampling.temperature, 0.0F);
  EXPECT_EQ(to_defaults(config).sampling.top_k, 0);
  EXPECT_EQ(to_defaults(config).sampling.repetition_penalty, 1.5F);
  config.do_sample = true;
  EXPECT_EQ(to_defaults(config).sampling.temperature, 0.5F);
  EXPECT_EQ(to_defaults(config).sampling.top_k, 50);
}

}  // namespace
}  // namespace sambay
