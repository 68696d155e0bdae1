#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "eval/perplexity.h"
#include "eval/proportion.h"
#include "eval/reasoning.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

const LoadedModel& model() {
  static const LoadedModel tiny = testing::tiny_model();
  return tiny;
}

TEST(WilsonInterval, SolvesItsEquation) {
  // Its ends are the p at which the observed share is z standard deviations away.
  constexpr double z = 1.959963984540054;
  for (const auto& [k, n] : {std::pair{7, 20}, std::pair{0, 5}, std::pair{999, 1000}}) {
    const Interval interval = wilson_interval(k, n);
    const double share = static_cast<double>(k) / n;
    EXPECT_LE(interval.low, share);
    EXPECT_GE(interval.high, share);
    for (const double p : {interval.low, interval.high}) {
      if (p > 0 && p < 1) {
        EXPECT_NEAR(std::abs(share - p), z * std::sqrt(p * (1 - p) / n), 1e-12);
      }
    }
  }
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

TEST(ReasoningEvaluation, CountsWhatTheJudgeSays) {
  Rng rng(1);
  ReasoningAnswer right{.problem = make_problem(ProblemKind::sums, 2, ProblemSplit::test, rng),
                        .solution_tokens = 127,
                        .response_tokens = 10};
  right.judgement = judge(right.problem, right.problem.chain);
  ReasoningAnswer wrong = right;
  wrong.solution_tokens = 128;
  wrong.judgement = judge(wrong.problem, "1+1=3\nAnswer: 1");
  const ReasoningReport report = tally({right, wrong, wrong});
  EXPECT_EQ(report.all.problems, 3);
  EXPECT_EQ(report.all.correct, 1);
  EXPECT_EQ(report.all.wrong_steps, 2);
  EXPECT_EQ(report.by_kind.at("sums").problems, 3);
  EXPECT_EQ(report.by_level.at(2).correct, 1);
  EXPECT_EQ(report.by_length.at(128).correct, 1);
  EXPECT_EQ(report.by_length.at(256).problems, 2);
  EXPECT_DOUBLE_EQ(to_json(report)["pass_at_1"].get<double>(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(to_json(report)["mean_response_tokens"].get<double>(), 10);
}

TEST(ReasoningEvaluation, ProblemsAreTheSameForEveryModelAndOfTheLevel) {
  const ReasoningEvalOptions options{.problems = 12, .level = 3, .seed = 4};
  const auto problems = evaluation_problems(options), again = evaluation_problems(options);
  ASSERT_EQ(problems.size(), 12U);
  for (size_t i = 0; i < problems.size(); ++i) {
    EXPECT_EQ(problems[i].question, again[i].question);
    EXPECT_EQ(problems[i].level, 3);
  }
  EXPECT_NE(problems[0].kind, problems[1].kind);
  EXPECT_NE(evaluation_problems({.problems = 1, .seed = 5})[0].question,
            evaluation_problems({.problems = 1, .seed = 6})[0].question);
}

TEST(ReasoningEvaluation, AnswersComeInTheOrderOfTheirProblems) {
  ReasoningEvalOptions options{.problems = 5, .max_tokens = 8};
  options.batch.sequences = 2;
  int64_t last = 0;
  const auto answers = answer_problems(model(), options, [&](int64_t done, int64_t) {
    last = done;
    return true;
  });
  const auto problems = evaluation_problems(options);
  ASSERT_EQ(answers.size(), 5U);
  EXPECT_EQ(last, 5);
  const ChatFormat chat(model().tokenizer);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].problem.question, problems[i].question);
    const auto alone = Session(model()).generate(chat.prompt(problems[i].question),
                                                 {.max_tokens = 8, .stop_ids = {chat.end_id()}});
    EXPECT_EQ(answers[i].response, alone.text);
    EXPECT_EQ(answers[i].response_tokens, alone.sampled_tokens);
  }
  const auto stopped =
      answer_problems(model(), options, [](int64_t done, int64_t) { return done < 2; });
  EXPECT_LT(stopped.size(), 5U);
}

// The definition: softmax over the logits of each prefix's last token.
double nll(std::span<const int32_t> ids, int32_t targets_from) {
  Arena arena;
  Exec exec{&arena, nullptr, {}};
  Segments segments;
  segments.add(std::ssize(ids));
  const Tensor logits = model().decoder.logits(exec, {ids, segments, {}, {}});
  double total = 0;
  for (int64_t t = 0; t + 1 < std::ssize(ids); ++t) {
    if (t + 1 < targets_from) {
      continue;
    }
    const float* row = logits.data<float>() + t * logits.stride(0);
    double sum = 0;
    for (int64_t v = 0; v < logits.dim(1); ++v) {
      sum += std::exp(static_cast<double>(row[v]));
    }
    total += std::log(sum) - row[ids[static_cast<size_t>(t) + 1]];
  }
  return total;
}

std::vector<EvalDocument> documents(int count) {
  std::vector<EvalDocument> out;
  for (int i = 0; i < count; ++i) {
    const auto encoded =
        encode(dataset_problem(ProblemSplit::test, 1, i), ChatFormat(model().tokenizer));
    out.push_back({encoded.ids, encoded.targets_from});
  }
  return out;
}

// Sums of a few hundred logits' rounding in fp32.
constexpr double relative_rounding = 1e-5;

TEST(Perplexity, IsTheMeanOverWholeDocumentsHoweverTheyAreFed) {
  const auto texts = documents(4);
  double expected = 0;
  int64_t tokens = 0;
  for (const auto& text : texts) {
    expected += nll(text.ids, text.targets_from);
    tokens += std::ssize(text.ids) - text.targets_from;
  }
  for (const int64_t chunk : {7, 600, 5000}) {
    const auto result = perplexity(model(), texts, {.chunk = chunk});
    EXPECT_NEAR(result.nll, expected, relative_rounding * expected) << "chunk " << chunk;
    EXPECT_EQ(result.tokens, tokens);
    EXPECT_EQ(result.documents, 4);
    // The chain alone, its closing mark has no bytes.
    int64_t bytes = 0;
    for (int i = 0; i < 4; ++i) {
      bytes += std::ssize(dataset_problem(ProblemSplit::test, 1, i).chain);
    }
    EXPECT_EQ(result.bytes, bytes);
    EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(result.nll / static_cast<double>(tokens)));
  }
}

TEST(Perplexity, PiecesStandAlone) {
  const auto texts = documents(1);
  const std::span<const int32_t> ids = texts[0].ids;
  double expected = 0;
  for (size_t at = 0; at < ids.size(); at += 50) {
    const auto piece = ids.subspan(at, std::min<size_t>(50, ids.size() - at));
    expected += nll(piece, texts[0].targets_from - static_cast<int32_t>(at));
  }
  EXPECT_NEAR(perplexity(model(), texts, {.length = 50}).nll, expected,
              relative_rounding * expected);
}

TEST(Perplexity, OfAModelComparedWithItselfShowsNoDivergence) {
  const auto texts = documents(3);
  for (const int64_t chunk : {7, 600}) {
    const auto alone = perplexity(model(), texts, {.chunk = chunk});
    const auto result = perplexity(model(), texts, {.chunk = chunk, .reference = &model()});
    EXPECT_NEAR(result.nll, alone.nll, relative_rounding * alone.nll);
    EXPECT_EQ(result.divergence.nll, result.nll);
    EXPECT_EQ(result.divergence.kl, 0);
    EXPECT_EQ(result.divergence.same_best, result.tokens);
  }
}

// Of logits a and b: sum of p (log p - log q), by the definition.
TEST(Perplexity, DivergesByTheDefinition) {
  LoadedModel other = testing::tiny_model();
  const Tensor head = other.decoder.params().find("lm_head.weight")->weight.value;
  for (int64_t i = 0; i < head.elements(); ++i) {
    head.data<float>()[i] *= 0.5F;  // flatter
  }
  EvalDocument text = documents(1)[0];
  text.ids.resize(static_cast<size_t>(text.targets_from) + 1);  // one token is predicted
  const auto result = perplexity(model(), {text}, {.reference = &other});
  ASSERT_EQ(result.tokens, 1);
  const auto probabilities = [&](const LoadedModel& m) {
    Exec exec{m.arena.get(), nullptr, {}};
    Segments segments;
    segments.add(std::ssize(text.ids));
    const Tensor logits = m.decoder.logits(exec, {text.ids, segments, {}, {}});
    const float* row = logits.data<float>() + (logits.dim(0) - 2) * logits.stride(0);
    std::vector<double> p(row, row + logits.dim(1));
    double sum = 0;
    for (double& x : p) {
      sum += x = std::exp(x);
    }
    for (double& x : p) {
      x /= sum;
    }
    return p;
  };
  const auto p = probabilities(other), q = probabilities(model());
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    kl += p[i] * std::log(p[i] / q[i]);
  }
  EXPECT_GT(kl, 1e-4);
  EXPECT_NEAR(result.divergence.kl, kl, 1e-4 * kl);
  EXPECT_EQ(result.divergence.largest_kl, result.divergence.kl);
  EXPECT_EQ(result.divergence.same_best, 1);
  const auto target = static_cast<size_t>(text.ids.back());
  EXPECT_NEAR(result.divergence.nll, -std::log(p[target]),
              relative_rounding * result.divergence.nll);
}

TEST(Perplexity, NothingToPredictIsAnError) {
  EXPECT_THROW(perplexity(model(), {{{5}, 0}}, {}), Error);
  EXPECT_THROW(perplexity(model(), {}, {}), Error);
}

TEST(Perplexity, ShardsOfAnotherVocabularyAreErrors) {
  const testing::TempDir folder;
  ShardWriter writer;
  writer.add(std::vector<int32_t>{1, 2, 9999});
  writer.write(folder / "a.safetensors", "none");
  EXPECT_THROW(read_eval_documents(model(), folder / "a.safetensors"), Error);
}

}  // namespace
}  // namespace sambay
