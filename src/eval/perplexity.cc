#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/threads.h"
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

// A model with the state of one document.
struct Reader {
  explicit Reader(const LoadedModel& loaded)
      : model(&loaded), state(loaded.decoder.state_spec(loaded.precision), *loaded.arena) {}

  Exec exec() const { return {model->arena.get(), nullptr, model->precision}; }
  // Where `rows` go on with the document; without, they stand alone.
  ForwardInput input(std::span<const int32_t> ids, const Segments& rows, bool go_on) {
    return {ids, rows, go_on ? std::vector{&state} : std::vector<SequenceState*>{}, {}};
  }

  const LoadedModel* model;
  SequenceState state;
};

struct LogSoftmax {
  const float* logits;
  int64_t count, best = 0;
  double normalizer = 0;

  LogSoftmax(const float* row, int64_t size) : logits(row), count(size) {
    best = std::max_element(row, row + size) - row;
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) {
      sum += std::exp(static_cast<double>(row[i]) - row[best]);
    }
    normalizer = row[best] + std::log(sum);
  }
  double at(int64_t i) const { return logits[i] - normalizer; }
};

double kl_divergence(const LogSoftmax& reference, const LogSoftmax& model) {
  double sum = 0;
  for (int64_t i = 0; i < model.count; ++i) {
    const double p = reference.at(i);
    sum += std::exp(p) * (p - model.at(i));
  }
  return sum;
}

class Measure {
 public:
  Measure(const LoadedModel& model, const PerplexityOptions& options)
      : chunk_(options.chunk), model_(model) {
    if (options.reference != nullptr) {
      reference_.emplace(*options.reference);
    }
  }

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
      count(ids_, packed_, false, targets_);
    }
    packed_ = {};
    ids_.clear();
    targets_.clear();
  }

  Perplexity result;

 private:
  void run_long(const Piece& piece) {
    model_.state.reset();
    if (reference_) {
      reference_->state.reset();
    }
    for (int64_t at = 0; at < std::ssize(piece.ids); at += chunk_) {
      const auto from = static_cast<size_t>(at);
      const auto rows = static_cast<size_t>(std::min(chunk_, std::ssize(piece.ids) - at));
      Segments segments;
      segments.add(static_cast<int64_t>(rows), at);
      count(piece.ids.subspan(from, rows), segments, true,
            std::span(piece.targets).subspan(from, rows));
    }
  }

  void count(std::span<const int32_t> ids, const Segments& rows, bool go_on,
             std::span<const int32_t> targets) {
    if (reference_) {
      compare(ids, rows, go_on, targets);
    } else {
      Exec exec = model_.exec();
      const auto sums =
          model_.model->decoder.loss(exec, model_.input(ids, rows, go_on), targets, {});
      result.nll += sums.nll;
      result.tokens += sums.counted;
    }
    const Tokenizer& tokenizer = model_.model->tokenizer;
    for (const int32_t id : targets) {
      if (id >= 0 && !tokenizer.is_special(id)) {
        result.bytes += std::ssize(tokenizer.bytes_of(id));
      }
    }
  }

  void compare(std::span<const int32_t> ids, const Segments& rows, bool go_on,
               std::span<const int32_t> targets) {
    const auto logits = [&](Reader& reader) {
      Exec exec = reader.exec();
      return reader.model->decoder.logits(exec, reader.input(ids, rows, go_on));
    };
    const Tensor q = logits(model_), p = logits(*reference_);
    struct Row {
      double nll, reference_nll, kl;
      bool same_best;
    };
    std::vector<Row> compared(targets.size());
    parallel_for(std::ssize(targets), [&](int64_t t) {
      const int64_t target = targets[static_cast<size_t>(t)];
      if (target >= 0) {
        const LogSoftmax model(q.data<float>() + t * q.stride(0), q.dim(1));
        const LogSoftmax reference(p.data<float>() + t * p.stride(0), p.dim(1));
        compared[static_cast<size_t>(t)] = {-model.at(target), -reference.at(target),
                                            kl_divergence(reference, model),
                                            model.best == reference.best};
      }
    });
    for (size_t t = 0; t < targets.size(); ++t) {
      if (targets[t] >= 0) {
        const Row& row = compared[t];
        Divergence& sums = result.divergence;
        result.nll += row.nll;
        ++result.tokens;
        sums.nll += row.reference_nll;
        sums.kl += row.kl;
        sums.largest_kl = std::max(sums.largest_kl, row.kl);
        sums.same_best += row.same_best ? 1 : 0;
      }
    }
  }

  int64_t chunk_;
  Reader model_;
  std::optional<Reader> reference_;
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
  if (options.reference != nullptr &&
      options.reference->decoder.config().vocab_size != model.decoder.config().vocab_size) {
    fail("perplexity", "the reference has {} tokens, the model {}",
         options.reference->decoder.config().vocab_size, model.decoder.config().vocab_size);
  }
  Measure measure(model, options);
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
