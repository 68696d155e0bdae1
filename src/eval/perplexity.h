// How well a model predicts text.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "engine/generator.h"

namespace sambay {

struct PerplexityOptions {
  int64_t length = 0;  // documents are cut into pieces of so many tokens; 0: not at all
  int64_t chunk = default_chunk;
  const LoadedModel* reference = nullptr;  // of the same vocabulary; to be compared with
};

// How far a model's predictions are from the reference's, at the predicted tokens.
struct Divergence {
  double nll = 0;         // the reference's own
  double kl = 0;          // sum of KL(reference || model) in nats
  double largest_kl = 0;  // of a token
  int64_t same_best = 0;  // tokens where both give the same the highest probability
};

struct Perplexity {
  double nll = 0;  // sum over the predicted tokens, natural log
  int64_t documents = 0, tokens = 0;
  int64_t bytes = 0;      // of text that the predicted tokens stand for; special tokens have none
  Divergence divergence;  // zeros without a reference

  double nll_per_token() const;
  double nll_per_byte() const;
  double perplexity() const;  // exp(nll per token)
};

struct EvalDocument {
  std::vector<int32_t> ids;
  int32_t targets_from = 0;  // tokens before it are given, not predicted
};

// Documents of a shard, or of a text file as data/documents.h reads them. Throws Error naming the
// file; also if a shard has tokens that the model lacks.
std::vector<EvalDocument> read_eval_documents(const LoadedModel& model,
                                              const std::filesystem::path& file);

// Each token of each document given those before it in its document, the first of a piece being
// given. `progress` gets how many tokens were read; false stops, and what came until then counts.
// Throws Error if no token is predicted, or the reference has another vocabulary.
Perplexity perplexity(const LoadedModel& model, const std::vector<EvalDocument>& documents,
                      const PerplexityOptions& options,
                      const std::function<bool(int64_t tokens)>& progress = {});

}  // namespace sambay
