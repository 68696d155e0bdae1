#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sambay {
namespace {

struct Candidate {
  float logit;
  int32_t id;
  // Most probable first, the smaller id of equal ones.
  bool operator<(const Candidate& other) const {
    return logit > other.logit || (logit == other.logit && id < other.id);
  }
};

// A thread's, not a sampler's: a hundred sequences over 200 000 tokens need one such list a thread.
std::vector<Candidate>& scratch() {
  thread_local std::vector<Candidate> candidates;
  return candidates;
}

// Relative to the most probable, whose logit is 0 here.
double weight(const Candidate& candidate) {
  return std::exp(static_cast<double>(candidate.logit));
}

double total_weight(std::span<const Candidate> candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) {
    total += weight(candidate);
  }
  return total;
}

void keep_top_k(std::vector<Candidate>& candidates, int32_t k) {
  const auto count = static_cast<size_t>(k);
  if (k > 0 && count < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end());
    candidates.resize(count);
  }
}

// The shortest run of the most probable whose weights reach `share`, put in order block by block:
// a full sort of a large vocabulary would cost more than the draw.
void keep_weight(std::vector<Candidate>& candidates, double share) {
  double reached = 0;
  size_t sorted = 0;
  for (size_t block = 64; sorted < candidates.size(); block *= 2) {
    const size_t end = std::min(candidates.size(), sorted + block);
    std::partial_sort(candidates.begin() + static_cast<ptrdiff_t>(sorted),
                      candidates.begin() + static_cast<ptrdiff_t>(end), candidates.end());
    for (; sorted < end; ++sorted) {
      reached += weight(candidates[sorted]);
      if (reached >= share) {
        candidates.resize(sorted + 1);
        return;
      }
    }
  }
}

double log_sum_exp(std::span<const float> logits) {
  const double best = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) {
    total += std::exp(logit - best);
  }
  return best + std::log(total);
}

void fill(std::vector<Candidate>& candidates, std::span<const float> logits) {
  candidates.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates[i] = {logits[i], static_cast<int32_t>(i)};
  }
}

void report(std::span<const float> logits, int32_t count, SampledToken& token) {
  const double normaliser = log_sum_exp(logits);
  token.log_prob = logits[static_cast<size_t>(token.id)] - normaliser;
  auto& candidates = scratch();
  fill(candidates, logits);
  const auto best = std::min(static_cast<ptrdiff_t>(count), std::ssize(candidates));
  std::partial_sort(candidates.begin(), candidates.begin() + best, candidates.end());
  for (ptrdiff_t i = 0; i < best; ++i) {
    const Candidate& c = candidates[static_cast<size_t>(i)];
    token.top.push_back({c.id, c.logit - normaliser});
  }
}

void check_range(bool holds, const char* option, double value, const char* expected) {
  if (!holds) {
    fail("sampling", "{}: expected {}, got {}", option, expected, value);
  }
}

}  // namespace

void check_options(const SamplingOptions& o) {
  check_range(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", o.temperature,
              "0 or more");
  check_range(o.top_k >= 0, "top_k", o.top_k, "0 or more");
  check_range(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "above 0 and at most 1");
  check_range(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "0 to 1");
  check_range(o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "repetition_penalty",
              o.repetition_penalty, "above 0");
}

Sampler::Sampler(const SamplingOptions& options)
    : Sampler(options, Rng(options.seed, "sampling").state()) {}

Sampler::Sampler(const SamplingOptions& options, const RngState& random)
    : options_(options), rng_(random) {
  check_options(options);
}

void Sampler::accept(std::span<const int32_t> ids) {
  if (options_.repetition_penalty == 1.0F) {
    return;
  }
  for (const int32_t id : ids) {
    const auto index = static_cast<size_t>(id);
    if (index >= occurred_.size()) {
      occurred_.resize(index + 1);
    }
    occurred_[index] = 1;
  }
}

int32_t Sampler::draw(std::span<const float> logits) {
  auto& candidates = scratch();
  fill(candidates, logits);
  for (size_t i = 0; i < std::min(occurred_.size(), candidates.size()); ++i) {
    if (occurred_[i] != 0) {
      float& logit = candidates[i].logit;
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
  }
  const Candidate best = *std::min_element(candidates.begin(), candidates.end());
  if (options_.temperature == 0.0F) {
    return best.id;
  }
  for (Candidate& candidate : candidates) {
    candidate.logit = (candidate.logit - best.logit) / options_.temperature;
  }
  keep_top_k(candidates, options_.top_k);
  // min_p and top_p both keep a run of the most probable, so that cutting by min_p first, which
  // needs no order, leaves the same ones; top_p's share is of the total before it.
  const double total = total_weight(candidates);
  if (options_.min_p > 0) {
    const float least = std::log(options_.min_p);
    std::erase_if(candidates, [least](const Candidate& c) { return c.logit < least; });
  }
  if (options_.top_p < 1) {
    keep_weight(candidates, total * static_cast<double>(options_.top_p));
  }
  double left = rng_.uniform() * total_weight(candidates);
  for (const Candidate& candidate : candidates) {
    left -= weight(candidate);
    if (left < 0) {
      return candidate.id;
    }
  }
  return best.id;  // the sums' rounding left a crumb
}

SampledToken Sampler::next(std::span<const float> logits) {
  check(!logits.empty(), "a sampler is given logits");
  bool finite = true;
  int32_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    finite &= logits[i] < std::numeric_limits<float>::infinity();
    best = logits[i] > logits[static_cast<size_t>(best)] ? static_cast<int32_t>(i) : best;
  }
  if (!finite) {
    fail("sampling", "the model's logits are not finite: its weights are damaged or overflow");
  }
  SampledToken token;
  const bool plain = options_.temperature == 0.0F && options_.repetition_penalty == 1.0F;
  token.id = plain ? best : draw(logits);
  if (options_.log_probs >= 0) {
    report(logits, options_.log_probs, token);
  }
  accept(std::span(&token.id, 1));
  return token;
}

}  // namespace sambay
