// How many fresh reasoning problems a model solves.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/reasoning/problem.h"
#include "engine/generator.h"

namespace sambay {

struct ReasoningEvalOptions {
  int64_t problems = 1000;
  int level = 0;  // 1 to highest_level, all kinds alike; 0: drawn as for training
  uint64_t seed = 0;
  int64_t max_tokens = 4096;
  SamplingOptions sampling = {};  // its seed is the first problem's, and counts up
  BatchOptions batch = {};
};

struct ReasoningAnswer {
  Problem problem;
  int64_t solution_tokens = 0;  // of the worked solution: how long a chain it takes
  std::string response = {};
  int64_t response_tokens = 0;
  FinishReason reason = FinishReason::length;
  Judgement judgement = {};
};
nlohmann::json to_json(const ReasoningAnswer& answer);

// The problems of the test split that `options` name: the same for every model.
std::vector<Problem> evaluation_problems(const ReasoningEvalOptions& options);

// One answer to each problem, in their order. `progress(done, correct)` returns false to stop:
// only the problems that were answered come back. Throws Error if the tokenizer has no chat marks.
std::vector<ReasoningAnswer> answer_problems(
    const LoadedModel& model, const ReasoningEvalOptions& options,
    const std::function<bool(int64_t done, int64_t correct)>& progress = {});

struct ReasoningTally {
  int64_t problems = 0, correct = 0, response_tokens = 0, steps = 0, wrong_steps = 0;

  void add(const ReasoningAnswer& answer);
};
// With Pass@1, its Wilson interval and the mean response length.
nlohmann::json to_json(const ReasoningTally& tally);

struct ReasoningReport {
  ReasoningTally all;
  std::map<std::string, ReasoningTally> by_kind;
  std::map<int, ReasoningTally> by_level;
  std::map<int64_t, ReasoningTally> by_length;  // of solutions below so many tokens, powers of two
};
ReasoningReport tally(const std::vector<ReasoningAnswer>& answers);
nlohmann::json to_json(const ReasoningReport& report);

}  // namespace sambay
