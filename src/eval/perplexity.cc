#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>

#include "data/documents.h"

namespace sambay {
namespace {

// A piece of a document: its state is fresh.
struct Piece {
  std::span<const int32_t> ids;
  std::vector<int32_t> targets;
};

std::vector<Piece> cut(const EvalDocument& document, int64_t length) {
  const std::span<const int32_t> ids = document.ids;
  const auto size = std::ssize(ids);
  std::vector<Piece> pieces;
  for (int64_t begin = 0; begin < size; begin += length) {
    const int64_t end = std::min(size, begin + length);
    Piece& piece = pieces.emplace_back();
    piece.ids = ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    for (int64_t t = begin + 1; t < end; ++t) {
      piece.targets.push_back(t >= document.targets_from ? ids[static_cast<size_t>(t)]
                                                         : ops::ignored_target);
    }
    piece.targets.push_back(ops::ignored_target);
  }
  return pieces;
}

class Measure {
 public:
  Measure(const LoadedModel& model, int64_t chunk)
      : model_(&model),
        chunk_(chunk),
        state_(model.decoder.state_spec(model.precision), *model.arena) {}

  void add(const Piece& piece) {
    if (std::ssize(piece.ids) > chunk_) {
      run_long(piece);
      return;
    }
    if (packed_.rows() + std::ssize(piece.ids) > chunk_) {
      flush();
    }
    ids_.insert(ids_.end(), piece.ids.begin(), piece.ids.end());
    targets_.insert(targets_.end(), piece.targets.begin(), piece.targets.end());
    packed_.add(std::ssize(piece.ids));
  }

  // Runs the short pieces that wait to fill a forward.
  void flush() {
    if (packed_.rows() > 0) {
      count({ids_, packed_, {}, {}}, targets_);
    }
    packed_ = {};
    ids_.clear();
    targets_.clear();
  }

  Perplexity result;

 private:
  void run_long(const Piece& piece) {
    state_.reset();
    for (int64_t at = 0; at < std::ssize(piece.ids); at += chunk_) {
      const auto from = static_cast<size_t>(at);
      const auto rows = static_cast<size_t>(std::min(chunk_, std::ssize(piece.ids) - at));
      Segments segments;
      segments.add(static_cast<int64_t>(rows), at);
      count({piece.ids.subspan(from, rows), segments, {&state_}, {}},
            std::span(piece.targets).subspan(from, rows));
    }
  }

  void count(const ForwardInput& input, std::span<const int32_t> targets) {
    Exec exec{model_->arena.get(), nullptr, model_->precision};
    const auto sums = model_->decoder.loss(exec, input, targets, {});
    result.nll += sums.nll;
    result.tokens += sums.counted;
    for (const int32_t id : targets) {
      if (id >= 0 && !model_->tokenizer.is_special(id)) {
        result.bytes += std::ssize(model_->tokenizer.bytes_of(id));
      }
    }
  }

  const LoadedModel* model_;
  int64_t chunk_;
  SequenceState state_;
  Segments packed_;
  std::vector<int32_t> ids_, targets_;
};

}  // namespace

double Perplexity::nll_per_token() const {
  return nll / static_cast<double>(tokens);
}

double Perplexity::nll_per_byte() const {
  return bytes > 0 ? nll / static_cast<double>(bytes) : 0;
}

double Perplexity::perplexity() const {
  return std::exp(nll_per_token());
}

std::vector<EvalDocument> read_eval_documents(const LoadedModel& model,
                                              const std::filesystem::path& file) {
  std::vector<EvalDocument> documents;
  if (file.extension() != ".safetensors") {
    for_each_document(file, DocumentBorder::file, [&](std::string_view text) {
      documents.push_back({model.tokenizer.encode(text, AddedTokens::as_text), 0});
    });
    return documents;
  }
  const Shard shard = Shard::open(file);
  const int64_t vocabulary = model.decoder.config().vocab_size;
  for (int64_t i = 0; i < shard.documents(); ++i) {
    const auto ids = shard.document(i);
    for (const int32_t id : ids) {
      if (id < 0 || id >= vocabulary) {
        fail(file.string(), "tokens: {} is not one of the model's {}", id, vocabulary);
      }
    }
    documents.push_back({{ids.begin(), ids.end()}, shard.targets_from(i)});
  }
  return documents;
}

Perplexity perplexity(const LoadedModel& model, const std::vector<EvalDocument>& documents,
                      const PerplexityOptions& options,
                      const std::function<bool(int64_t tokens)>& progress) {
  check(options.chunk > 0, "a chunk has tokens");
  Measure measure(model, options.chunk);
  int64_t read = 0;
  for (const EvalDocument& document : documents) {
    const auto size = std::ssize(document.ids);
    for (const Piece& piece : cut(document, options.length > 0 ? options.length : size)) {
      measure.add(piece);
    }
    ++measure.result.documents;
    read += size;
    if (progress && !progress(read)) {
      break;
    }
  }
  measure.flush();
  if (measure.result.tokens == 0) {
    fail("perplexity", "no token to predict: expected a document of two tokens or more");
  }
  return measure.result;
}

}  // namespace sambay
