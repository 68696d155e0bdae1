// Batches for training: rows of packed documents, drawn from a weighted mixture of shards.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/shards.h"
#include "ops/segments.h"

namespace sambay {

// Rows laid end to end. Each piece of a document in a row is a segment, so that no state or
// attention crosses a document or a row. targets[t] is the next token of the same document, or -1
// where there is none (a document's last token, a token whose loss does not
// count).
struct TokenBatch {
  std::vector<int32_t> ids;
  std::vector<int32_t> targets;
  Segments segments;
};

struct MixtureSource {
  std::filesystem::path shard;
  double weight = 1.0;  // share of the tokens, relative to the other sources
};

// Draws documents source by source so that token shares follow the weights, each source in an order
// that is shuffled anew each epoch from (seed, source, epoch), and fills rows of `length` tokens; a
// document that does not fit is continued in the next row (or, with whole_documents, rows end where
// the next document does not fit and longer documents are an Error). Deterministic; the position is
// a small JSON value.
class BatchLoader {
 public:
  BatchLoader(const std::vector<MixtureSource>& sources, int64_t rows, int64_t length,
              uint64_t seed, bool whole_documents = false);

  TokenBatch next();
  nlohmann::json position() const;
  // Continues where position() was taken. Throws Error if it is of another mixture.
  void restore(const nlohmann::json& position);
  // Tokens of an epoch of all sources.
  int64_t tokens() const;

 private:
  struct Source {
    Shard shard;
    double weight;
    int64_t epoch = 0, next = 0;
    int64_t drawn_tokens = 0;
    std::vector<int32_t> order;
  };
  int32_t pick() const;
  void draw();
  void shuffle(size_t source);

  std::vector<Source> sources_;
  int64_t rows_, length_;
  uint64_t seed_;
  bool whole_documents_;
  // The document that is being laid out.
  int32_t current_source_ = -1;
  int64_t current_document_ = 0, current_token_ = 0;
};

}  // namespace sambay
