// The next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"

namespace sambay {

// The steps go in the order of Hugging Face's generate: repetition penalty, temperature, top_k,
// top_p, min_p, then a draw from what is left. Each step sees the probabilities that the step
// before left, renormalised. (llama.cpp applies the temperature last: its top_p is then taken at
// temperature 1.)
struct SamplingOptions {
  float temperature = 0.0F;  // 0: greedy, the most probable token, the smaller id of equal ones
  int32_t top_k = 0;         // the k most probable; 0: all
  float top_p = 1.0F;        // the fewest most probable that together reach p; 1: all
  float min_p = 0.0F;        // those of at least min_p times the most probable's probability
  // Keskar et al., "CTRL", 2019, section 4.1: logits of tokens that occurred, in the prompt too,
  // are divided by it if positive, multiplied by it if negative. 1: none.
  float repetition_penalty = 1.0F;
  uint64_t seed = 0;
  int32_t log_probs = -1;  // how many of the most probable tokens to report; below 0: nothing
};
// Throws Error naming the option that is out of range.
void check_options(const SamplingOptions& options);

struct TokenLogProb {
  int32_t id = 0;
  double log_prob = 0;
};

// Log-probabilities are the model's own: log softmax(logits) before any option.
struct SampledToken {
  int32_t id = 0;
  double log_prob = 0;            // 0 unless asked for
  std::vector<TokenLogProb> top;  // the most probable, best first
};

// Draws the tokens of one sequence: the same options, history and logits give the same tokens
// whatever other sequences do. Allocates nothing after a thread's first call, but for `top`.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  // Goes on with random numbers where another left off.
  Sampler(const SamplingOptions& options, const RngState& random);

  // Tokens that count as having occurred.
  void accept(std::span<const int32_t> ids);
  // Of the logits (vocabulary) of one position; the token counts as having occurred. Throws Error
  // if a logit is NaN or positive infinity.
  SampledToken next(std::span<const float> logits);
  const RngState& random() const { return rng_.state(); }

 private:
  int32_t draw(std::span<const float> logits);

  SamplingOptions options_;
  Rng rng_;
  std::vector<uint8_t> occurred_;  // by id; empty without a penalty
};

}  // namespace sambay
