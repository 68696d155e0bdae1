// All that a user asks of a model's speed, in one run: the first token, prompts, decoding.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perf/generation.h"

namespace sambay {

struct SurveyOptions {
  std::vector<int64_t> prompts = {512, 2048, 8192, 32768};  // tokens
  std::vector<int64_t> positions = {0, 8192, 32768};        // where decoding is timed
  std::vector<int64_t> batches = {1, 4, 16};                // of decoding
  int64_t chunk = 512;                                      // of a prompt
  PerfOptions perf;
};

struct Survey {
  double first_token_seconds = 0;  // of a prompt of one token, weights being touched first
  std::vector<PrefillSpeed> prompts;
  std::vector<DecodeSpeed> steps;  // batch by batch, each at all positions
};

// How much is done of how much, in seconds as they would be at the machine's ceilings, and what is
// being done.
using SurveyProgress = std::function<void(double done, double all, const std::string& what)>;

// Prompts, batches or positions of which there are none are left out.
Survey measure_survey(Rig& rig, const SurveyOptions& options, CeilingWatch& ceilings,
                      const SurveyProgress& progress = {});

}  // namespace sambay
