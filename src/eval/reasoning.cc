#include "eval/reasoning.h"

#include <algorithm>
#include <bit>

#include "eval/proportion.h"
#include "text/chat.h"

namespace sambay {

nlohmann::json to_json(const ReasoningAnswer& a) {
  return {{"kind", name(a.problem.kind)},          {"level", a.problem.level},
          {"question", a.problem.question},        {"answer", a.problem.answer},
          {"solution_tokens", a.solution_tokens},  {"response", a.response},
          {"response_tokens", a.response_tokens},  {"finish_reason", name(a.reason)},
          {"correct", a.judgement.correct},        {"steps", a.judgement.steps},
          {"wrong_steps", a.judgement.wrong_steps}};
}

std::vector<Problem> evaluation_problems(const ReasoningEvalOptions& options) {
  // A stream of its own: no data set made with the same seed holds these problems.
  Rng rng(options.seed, "reasoning evaluation");
  std::vector<Problem> problems;
  const auto& kinds = problem_kinds();
  for (int64_t i = 0; i < options.problems; ++i) {
    problems.push_back(options.level == 0
                           ? draw_problem(ProblemSplit::test, rng)
                           : make_problem(kinds[static_cast<size_t>(i) % kinds.size()],
                                          options.level, ProblemSplit::test, rng));
  }
  return problems;
}

std::vector<ReasoningAnswer> answer_problems(
    const LoadedModel& model, const ReasoningEvalOptions& options,
    const std::function<bool(int64_t done, int64_t correct)>& progress) {
  const ChatFormat chat(model.tokenizer);
  std::vector<ReasoningAnswer> answers;
  std::vector<GenerationRequest> requests;
  for (Problem& problem : evaluation_problems(options)) {
    GenerateOptions generate{.sampling = options.sampling,
                             .max_tokens = options.max_tokens,
                             .stop_ids = {chat.end_id()}};
    generate.sampling.seed += requests.size();
    requests.push_back({chat.prompt(problem.question), std::move(generate)});
    const auto solution = model.tokenizer.encode(problem.chain, AddedTokens::as_text);
    answers.push_back({.problem = std::move(problem), .solution_tokens = std::ssize(solution)});
  }
  int64_t done = 0, correct = 0;
  generate_many(model, requests, options.batch, [&](size_t i, const Generation& generation) {
    ReasoningAnswer& answer = answers[i];
    answer.response = generation.text;
    answer.response_tokens = generation.sampled_tokens;
    answer.reason = generation.reason;
    answer.judgement = judge(answer.problem, answer.response);
    correct += answer.judgement.correct ? 1 : 0;
    return !progress || progress(++done, correct);
  });
  std::erase_if(answers, [](const ReasoningAnswer& a) { return a.response_tokens == 0; });
  return answers;
}

void ReasoningTally::add(const ReasoningAnswer& answer) {
  ++problems;
  correct += answer.judgement.correct ? 1 : 0;
  response_tokens += answer.response_tokens;
  steps += answer.judgement.steps;
  wrong_steps += answer.judgement.wrong_steps;
}

nlohmann::json to_json(const ReasoningTally& t) {
  const auto share = [&](int64_t part) {
    return t.problems == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(t.problems);
  };
  const Interval interval = wilson_interval(t.correct, t.problems);
  return {{"problems", t.problems},
          {"correct", t.correct},
          {"pass_at_1", share(t.correct)},
          {"interval_95", {interval.low, interval.high}},
          {"mean_response_tokens", share(t.response_tokens)},
          {"steps", t.steps},
          {"wrong_steps", t.wrong_steps}};
}

ReasoningReport tally(const std::vector<ReasoningAnswer>& answers) {
  ReasoningReport report;
  for (const ReasoningAnswer& answer : answers) {
    const auto below = std::bit_ceil(static_cast<uint64_t>(answer.solution_tokens) + 1);
    report.all.add(answer);
    report.by_kind[name(answer.problem.kind)].add(answer);
    report.by_level[answer.problem.level].add(answer);
    report.by_length[static_cast<int64_t>(below)].add(answer);
  }
  return report;
}

nlohmann::json to_json(const ReasoningReport& report) {
  nlohmann::json json = to_json(report.all);
  for (const auto& [kind, part] : report.by_kind) {
    json["by_kind"][kind] = to_json(part);
  }
  for (const auto& [level, part] : report.by_level) {
    json["by_level"][std::to_string(level)] = to_json(part);
  }
  for (const auto& [below, part] : report.by_length) {
    json["by_solution_tokens_below"][std::to_string(below)] = to_json(part);
  }
  return json;
}

}  // namespace sambay
