#include "engine/generator.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/tiny_model.h"

namespace sambay {
namespace {

const LoadedModel& model() {
  static const LoadedModel tiny = testing::tiny_model();
  return tiny;
}

std::vector<int32_t> prompt(int i) {
  return ChatFormat(model().tokenizer).prompt(dataset_problem(ProblemSplit::train, 1, i).question);
}

// The definition: the whole text so far in one forward without state, for each token.
std::vector<int32_t> greedy(std::vector<int32_t> ids, int count) {
  Arena arena;
  Exec exec{&arena, nullptr, {}};
  std::vector<int32_t> out;
  for (int i = 0; i < count; ++i) {
    ForwardInput input;
    input.ids = ids;
    input.segments.add(static_cast<int64_t>(ids.size()));
    input.wanted = {1};
    const Tensor logits = model().decoder.logits(exec, input);
    const float* row = logits.data<float>();
    out.push_back(static_cast<int32_t>(std::max_element(row, row + logits.dim(1)) - row));
    ids.push_back(out.back());
  }
  return out;
}

TEST(Session, GreedyEqualsTheForwardOverEverything) {
  const auto expected = greedy(prompt(0), 12);
  for (const int64_t chunk : {1, 5, 512}) {
    Session session(model(), chunk);
    const auto result = session.generate(prompt(0), {.max_tokens = 12});
    EXPECT_EQ(result.ids, expected) << "chunk " << chunk;
    EXPECT_EQ(result.reason, FinishReason::length);
    EXPECT_EQ(result.prompt_tokens, std::ssize(prompt(0)));
    EXPECT_EQ(result.text, model().tokenizer.decode(expected, true));
  }
}

TEST(Session, GoesOnFromCallToCall) {
  Session session(model());
  auto first = session.generate(prompt(0), {.max_tokens = 4}).ids;
  const auto all = greedy(prompt(0), 9);
  const auto second = session.generate({}, {.max_tokens = 5}).ids;
  first.insert(first.end(), second.begin(), second.end());
  EXPECT_EQ(first, all);
  session.reset();
  EXPECT_EQ(session.length(), 0);
  EXPECT_EQ(session.generate(prompt(0), {.max_tokens = 9}).ids, all);
}

TEST(Session, StopsAtAStopToken) {
  const auto expected = greedy(prompt(1), 8);
  const int32_t stop = expected[5];
  const auto at = std::find(expected.begin(), expected.end(), stop) - expected.begin();
  const auto result =
      Session(model()).generate(prompt(1), {.sampling = {.log_probs = 2}, .stop_ids = {stop}});
  EXPECT_EQ(result.reason, FinishReason::stop);
  EXPECT_EQ(result.ids, std::vector<int32_t>(expected.begin(), expected.begin() + at));
  EXPECT_EQ(std::ssize(result.tokens), at + 1);
  EXPECT_EQ(result.sampled_tokens, at + 1);
  EXPECT_LE(result.tokens[0].log_prob, 0);
  EXPECT_EQ(result.tokens[0].top.size(), 2U);
}

TEST(Session, TheCallbackGetsTheTextAndCanCancel) {
  std::string text;
  const auto whole = Session(model()).generate(prompt(2), {.max_tokens = 20}, [&](auto piece) {
    text += piece;
    return true;
  });
  EXPECT_EQ(text, whole.text);
  int calls = 0;
  const auto part =
      Session(model()).generate(prompt(2), {.max_tokens = 20}, [&](auto) { return ++calls < 3; });
  EXPECT_EQ(part.reason, FinishReason::cancelled);
  EXPECT_EQ(part.sampled_tokens, 3);
}

TEST(Session, EmptyPromptsAndUnknownTokensAreErrors) {
  Session session(model());
  EXPECT_THROW(session.generate({}, {}), Error);
  EXPECT_THROW(session.generate(std::vector<int32_t>{1, 1 << 20}, {}), Error);
  EXPECT_THROW(session.generate(std::vector<int32_t>{1}, {.max_tokens = 0}), Error);
}

TEST(GenerateMany, EachRequestIsAnsweredAsIfAlone) {
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 9; ++i) {
    requests.push_back({prompt(i), {.max_tokens = 3 + 5 * (i % 3)}});
  }
  std::vector<int> seen(requests.size());
  const auto results = generate_many(model(), requests, {.sequences = 4, .chunk = 20},
                                     [&](size_t i, const Generation& g) {
                                       ++seen[i];
                                       EXPECT_GT(g.sampled_tokens, 0);
                                       return true;
                                     });
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(results[i].ids,
              Session(model()).generate(requests[i].prompt, requests[i].options).ids);
    EXPECT_EQ(seen[i], 1);
  }
}

TEST(GenerateMany, SeedsBelongToRequests) {
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(
        {prompt(0),
         {.sampling = {.temperature = 9, .seed = static_cast<uint64_t>(i % 3)}, .max_tokens = 10}});
  }
  const auto results = generate_many(model(), requests, {.sequences = 2});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(results[i].ids, results[i + 3].ids);
  }
  EXPECT_NE(results[0].ids, results[1].ids);
}

TEST(GenerateMany, StopsWhenToldTo) {
  std::vector<GenerationRequest> requests(5, {prompt(0), {.max_tokens = 4}});
  requests[1].options.max_tokens = 50;
  const auto results =
      generate_many(model(), requests, {.sequences = 2}, [](size_t, auto&) { return false; });
  EXPECT_EQ(results[0].reason, FinishReason::length);
  for (size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(results[i].reason, FinishReason::cancelled);
  }
  EXPECT_TRUE(generate_many(model(), {}, {}).empty());
}

}  // namespace
}  // namespace sambay
