#include "data/loader.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/rng.h"

namespace sambay {

BatchLoader::BatchLoader(const std::vector<MixtureSource>& sources, int64_t rows, int64_t length,
                         uint64_t seed, bool whole_documents)
    : rows_(rows), length_(length), seed_(seed), whole_documents_(whole_documents) {
  if (sources.empty()) {
    fail("data", "no sources: expected at least one shard");
  }
  for (const auto& source : sources) {
    if (!(source.weight > 0)) {
      fail(source.shard.string(), "weight: {} is not above 0", source.weight);
    }
    sources_.push_back({Shard::open(source.shard), source.weight, 0, 0, 0, {}});
    const Shard& shard = sources_.back().shard;
    for (int64_t d = 0; whole_documents && d < shard.documents(); ++d) {
      if (static_cast<int64_t>(shard.document(d).size()) > length) {
        fail(source.shard.string(), "document {} has {} tokens: a row holds {}", d,
             shard.document(d).size(), length);
      }
    }
    shuffle(sources_.size() - 1);
  }
}

void BatchLoader::shuffle(size_t source) {
  Source& s = sources_[source];
  s.order.resize(static_cast<size_t>(s.shard.documents()));
  std::iota(s.order.begin(), s.order.end(), 0);
  Rng rng(seed_, (static_cast<uint64_t>(source) << 32) + static_cast<uint64_t>(s.epoch));
  for (size_t i = s.order.size(); i > 1; --i) {
    std::swap(s.order[i - 1], s.order[rng.below(i)]);
  }
}

// The source that lags furthest behind its share.
int32_t BatchLoader::pick() const {
  int32_t best = 0;
  const auto due = [&](size_t i) {
    return static_cast<double>(sources_[i].drawn_tokens) / sources_[i].weight;
  };
  for (size_t i = 1; i < sources_.size(); ++i) {
    if (due(i) < due(static_cast<size_t>(best))) {
      best = static_cast<int32_t>(i);
    }
  }
  return best;
}

void BatchLoader::draw() {
  current_source_ = pick();
  Source& s = sources_[static_cast<size_t>(current_source_)];
  if (s.next == s.shard.documents()) {
    s.next = 0;
    ++s.epoch;
    shuffle(static_cast<size_t>(current_source_));
  }
  current_document_ = s.order[static_cast<size_t>(s.next++)];
  current_token_ = 0;
  s.drawn_tokens += static_cast<int64_t>(s.shard.document(current_document_).size());
}

TokenBatch BatchLoader::next() {
  TokenBatch batch;
  for (int64_t row = 0; row < rows_; ++row) {
    for (int64_t room = length_; room > 0;) {
      if (current_source_ < 0) {
        draw();
      }
      const Shard& shard = sources_[static_cast<size_t>(current_source_)].shard;
      const auto document = shard.document(current_document_);
      const auto size = static_cast<int64_t>(document.size());
      if (whole_documents_ && size - current_token_ > room) {
        break;
      }
      const int64_t take = std::min(room, size - current_token_);
      const int64_t from = shard.targets_from(current_document_);
      for (int64_t t = current_token_; t < current_token_ + take; ++t) {
        batch.ids.push_back(document[static_cast<size_t>(t)]);
        // The next token may lie in the next row: its input is at hand, its target still counts.
        const bool counts = t + 1 < size && t + 1 >= from;
        batch.targets.push_back(counts ? document[static_cast<size_t>(t) + 1] : -1);
      }
      if (take > 0) {
        batch.segments.add(take);
      }
      room -= take;
      current_token_ += take;
      if (current_token_ == size) {
        current_source_ = -1;
      }
    }
  }
  return batch;
}

nlohmann::json BatchLoader::position() const {
  nlohmann::json sources = nlohmann::json::array();
  for (const Source& s : sources_) {
    sources.push_back({{"documents", s.shard.documents()},
                       {"tokens", s.shard.tokens()},
                       {"epoch", s.epoch},
                       {"next", s.next},
                       {"drawn_tokens", s.drawn_tokens}});
  }
  return {{"sources", sources},
          {"seed", seed_},
          {"current_source", current_source_},
          {"current_document", current_document_},
          {"current_token", current_token_}};
}

void BatchLoader::restore(const nlohmann::json& position) {
  JsonFields fields(position, "data position");
  const auto& sources = fields.raw("sources");
  if (sources.size() != sources_.size() || fields.required<uint64_t>("seed") != seed_) {
    fail("data position", "it is of another mixture: {} sources and seed {} expected",
         sources_.size(), seed_);
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& s = sources_[i];
    JsonFields source(sources[i], fmt::format("data position: sources[{}]", i));
    if (source.integer("documents", 0, INT64_MAX) != s.shard.documents() ||
        source.integer("tokens", 0, INT64_MAX) != s.shard.tokens()) {
      fail("data position", "sources[{}]: the shard has changed since", i);
    }
    s.epoch = source.integer("epoch", 0, INT64_MAX);
    s.next = source.integer("next", 0, s.shard.documents());
    s.drawn_tokens = source.integer("drawn_tokens", 0, INT64_MAX);
    shuffle(i);
  }
  current_source_ = static_cast<int32_t>(
      fields.integer("current_source", -1, static_cast<int64_t>(sources_.size()) - 1));
  current_document_ = fields.integer("current_document", 0, INT64_MAX);
  current_token_ = fields.integer("current_token", 0, INT64_MAX);
  if (current_source_ >= 0) {
    const Shard& shard = sources_[static_cast<size_t>(current_source_)].shard;
    if (current_document_ >= shard.documents() ||
        current_token_ >= static_cast<int64_t>(shard.document(current_document_).size())) {
      fail("data position", "current_document: {} does not exist", current_document_);
    }
  }
}

int64_t BatchLoader::tokens() const {
  int64_t total = 0;
  for (const Source& s : sources_) {
    total += s.shard.tokens();
  }
  return total;
}

}  // namespace sambay
