#include "engine/generator.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/threads.h"
#include "engine/text_stream.h"
#include "model/weights.h"

namespace sambay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

void check_ids(std::span<const int32_t> ids, int64_t vocabulary) {
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary) {
      fail("prompt", "token {}: expected 0 to {}", id, vocabulary - 1);
    }
  }
}

// One request being answered: what is to be fed, and what came of it.
class Flight {
 public:
  Flight(const LoadedModel& model, SequenceState& state, std::vector<int32_t> prompt,
         const GenerateOptions& options)
      : state_(&state),
        options_(&options),
        feed_(std::move(prompt)),
        sampler_(options.sampling),
        text_(model.tokenizer, options.stop_texts, options.shown_ids),
        begin_(Clock::now()) {
    if (feed_.empty()) {
      fail("prompt", "empty: expected at least one token");
    }
    if (options.max_tokens < 1) {
      fail("generation", "max_tokens: expected 1 or more, got {}", options.max_tokens);
    }
    if (options.thinking) {
      if (options.thinking->max_tokens < 1) {
        fail("generation", "thinking: expected 1 token or more, got {}",
             options.thinking->max_tokens);
      }
      thinking_.emplace(options.thinking->marks, options.thinking->open);
      end_of_thinking_ = model.tokenizer.encode(options.thinking->marks.end);
    }
    check_ids(feed_, model.decoder.config().vocab_size);
    sampler_.accept(feed_);
    result.prompt_tokens = static_cast<int64_t>(feed_.size());
  }

  // What the sequence has behind it: its tokens, and where its random numbers are.
  void go_on_from(std::span<const int32_t> ids, const std::optional<RngState>& random) {
    if (random && random->seed == options_->sampling.seed) {
      sampler_ = Sampler(options_->sampling, *random);
      sampler_.accept(feed_);
    }
    sampler_.accept(ids);
  }

  // Adds the next rows, at most `room`, to a forward; says how many.
  int64_t add_rows(ForwardInput& input, std::vector<int32_t>& ids, int64_t room) {
    const auto waiting = std::span(feed_).subspan(fed_);
    const auto rows = std::min(room, std::ssize(waiting));
    ids.insert(ids.end(), waiting.begin(), waiting.begin() + rows);
    fed_ += static_cast<size_t>(rows);
    input.segments.add(rows, state_->length());
    input.states.push_back(state_);
    input.wanted.push_back(wants_logits() ? 1 : 0);
    return rows;
  }
  // Everything has been fed: the forward ends in the logits of the next token.
  bool wants_logits() const { return fed_ == feed_.size(); }

  // The piece of text that the next token made certain.
  std::string take(std::span<const float> logits) {
    const SampledToken token = sampler_.next(logits);
    ++result.sampled_tokens;
    if (result.sampled_tokens == 1) {
      result.prefill_seconds = seconds_since(begin_);
      begin_ = Clock::now();
    } else {
      result.decode_seconds = seconds_since(begin_);
    }
    feed_.assign(1, token.id);
    fed_ = 0;
    if (options_->sampling.log_probs >= 0) {
      result.tokens.push_back(token);
    }
    const auto& stops = options_->stop_ids;
    if (std::find(stops.begin(), stops.end(), token.id) != stops.end()) {
      return end(FinishReason::stop);
    }
    result.ids.push_back(token.id);
    std::string piece = text_.push(token.id);
    result.text += piece;
    if (text_.stopped()) {
      end(FinishReason::stop);
    } else if (result.sampled_tokens >= options_->max_tokens) {
      piece += end(FinishReason::length);
    } else if (thinks_too_long(piece)) {
      piece += end_thinking();
    }
    return piece;
  }
  // The text that was held back.
  std::string end(FinishReason reason) {
    over_ = true;
    result.reason = reason;
    std::string rest = text_.finish();
    result.text += rest;
    return rest;
  }

  bool over() const { return over_; }
  const RngState& random() const { return sampler_.random(); }
  std::vector<int32_t> unfed() const {
    return {feed_.begin() + static_cast<ptrdiff_t>(fed_), feed_.end()};
  }

  Generation result;

 private:
  bool thinks_too_long(std::string_view piece) {
    if (!thinking_) {
      return false;
    }
    thinking_->push(piece);
    thinking_tokens_ += thinking_->thinking() ? 1 : 0;
    return thinking_->thinking() && thinking_tokens_ >= options_->thinking->max_tokens;
  }
  // Puts the mark in as if the model had said it.
  std::string end_thinking() {
    std::string piece;
    for (const int32_t id : end_of_thinking_) {
      feed_.push_back(id);
      result.ids.push_back(id);
      piece += text_.push(id);
    }
    sampler_.accept(end_of_thinking_);
    thinking_.reset();
    result.text += piece;
    return piece;
  }

  SequenceState* state_;
  const GenerateOptions* options_;
  std::vector<int32_t> feed_;  // the prompt, later the token sampled last
  size_t fed_ = 0;
  Sampler sampler_;
  TextStream text_;
  std::optional<ThinkingSplitter> thinking_;  // while a limit is to be kept
  int64_t thinking_tokens_ = 0;
  std::vector<int32_t> end_of_thinking_;
  Clock::time_point begin_;
  bool over_ = false;
};

// One forward: a row of each decoding sequence, and up to `chunk` rows of prompts, oldest first.
// `pieces` gets the text that came of each flight.
void step(const LoadedModel& model, std::span<Flight* const> flights, int64_t chunk,
          std::vector<std::string>& pieces) {
  ForwardInput input;
  std::vector<int32_t> ids;
  std::vector<size_t> ready;  // flights whose logits come, in the order of the rows
  int64_t room = chunk;
  for (size_t i = 0; i < flights.size(); ++i) {
    const bool decoding = flights[i]->result.sampled_tokens > 0;
    if (!decoding && room == 0) {
      continue;
    }
    const int64_t rows = flights[i]->add_rows(input, ids, decoding ? 1 : room);
    room -= decoding ? 0 : rows;
    if (flights[i]->wants_logits()) {
      ready.push_back(i);
    }
  }
  input.ids = ids;
  Exec exec{.arena = model.arena.get(), .tape = nullptr, .precision = model.precision};
  const Tensor logits = model.decoder.logits(exec, input);
  pieces.assign(flights.size(), {});
  const auto vocabulary = static_cast<size_t>(logits.dim(1));
  parallel_for(std::ssize(ready), [&](int64_t row) {
    const size_t i = ready[static_cast<size_t>(row)];
    const float* begin = logits.data<float>() + row * logits.stride(0);
    pieces[i] = flights[i]->take({begin, vocabulary});
  });
}

// The requests in flight.
class Batch {
 public:
  Batch(const LoadedModel& model, std::span<const GenerationRequest> requests)
      : results(requests.size()),
        model_(&model),
        requests_(requests),
        spec_(model.decoder.state_spec(model.precision)) {}

  // Starts waiting requests until `sequences` are in flight; false when all is done.
  bool fill(int64_t sequences) {
    while (next_ < requests_.size() && std::ssize(busy_) < sequences) {
      if (idle_.empty()) {
        idle_.push_back(std::make_unique<Slot>(SequenceState(spec_, *model_->arena)));
      }
      Slot& slot = *busy_.emplace_back(std::move(idle_.back()));
      idle_.pop_back();
      slot.index = next_;
      const GenerationRequest& request = requests_[next_++];
      slot.flight.emplace(*model_, slot.state, request.prompt, request.options);
    }
    return !busy_.empty();
  }

  void run(int64_t chunk) {
    flights_.clear();
    for (const auto& slot : busy_) {
      flights_.push_back(&*slot->flight);
    }
    step(*model_, flights_, chunk, pieces_);
  }

  // Takes out what is over; false if the callback wants no more.
  bool land(const DoneCallback& done) {
    bool go_on = true;
    size_t kept = 0;
    for (auto& slot : busy_) {
      if (!slot->flight->over()) {
        busy_[kept++].swap(slot);
        continue;
      }
      go_on &= retire(*slot, done);
      idle_.push_back(std::move(slot));
    }
    busy_.resize(kept);
    return go_on;
  }

  void cancel() {
    for (auto& slot : busy_) {
      slot->flight->end(FinishReason::cancelled);
      retire(*slot, {});
    }
    busy_.clear();
    for (; next_ < requests_.size(); ++next_) {
      results[next_].reason = FinishReason::cancelled;
    }
  }

  std::vector<Generation> results;

 private:
  struct Slot {
    explicit Slot(SequenceState fresh) : state(std::move(fresh)) {}
    SequenceState state;
    std::optional<Flight> flight;
    size_t index = 0;
  };

  bool retire(Slot& slot, const DoneCallback& done) {
    Generation& result = results[slot.index] = std::move(slot.flight->result);
    slot.flight.reset();
    slot.state.reset();
    return !done || done(slot.index, result);
  }

  const LoadedModel* model_;
  std::span<const GenerationRequest> requests_;
  ModelStateSpec spec_;
  size_t next_ = 0;
  std::vector<std::unique_ptr<Slot>> idle_, busy_;  // busy: the oldest first
  std::vector<Flight*> flights_;
  std::vector<std::string> pieces_;
};

}  // namespace

LoadedModel LoadedModel::load(const std::filesystem::path& folder, const Precision& precision) {
  auto arena = std::make_unique<Arena>();
  Decoder decoder = load_model(folder, precision, *arena);
  Tokenizer tokenizer = Tokenizer::load(folder);
  if (tokenizer.vocab_size() > decoder.config().vocab_size) {
    fail((folder / "tokenizer.json").string(), "{} tokens: expected at most the model's {}",
         tokenizer.vocab_size(), decoder.config().vocab_size);
  }
  return {std::move(arena), precision, std::move(decoder), std::move(tokenizer)};
}

const char* name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
  }
  return "?";
}

double Generation::prefill_rate() const {
  return rate(prompt_tokens, prefill_seconds);
}

double Generation::decode_rate() const {
  return rate(sampled_tokens - 1, decode_seconds);
}

Session::Session(const LoadedModel& model, int64_t chunk)
    : model_(&model),
      chunk_(chunk),
      state_(model.decoder.state_spec(model.precision), *model.arena) {
  check(chunk > 0, "a chunk has tokens");
}

Generation Session::generate(std::span<const int32_t> prompt, const GenerateOptions& options,
                             const TextCallback& callback) {
  std::vector<int32_t> feed = unfed_;
  feed.insert(feed.end(), prompt.begin(), prompt.end());
  Flight flight(*model_, state_, std::move(feed), options);
  flight.go_on_from(ids_, random_);
  Flight* const flights[] = {&flight};
  std::vector<std::string> pieces;
  try {
    while (!flight.over()) {
      step(*model_, flights, chunk_, pieces);
      const bool go_on = !callback || callback(pieces[0]);
      if (!go_on && !flight.over()) {
        flight.end(FinishReason::cancelled);
      }
    }
  } catch (...) {  // nobody knows how far the state went on
    reset();
    throw;
  }
  random_ = flight.random();
  unfed_ = flight.unfed();
  ids_.insert(ids_.end(), prompt.begin(), prompt.end());
  ids_.insert(ids_.end(), flight.result.ids.begin(), flight.result.ids.end());
  if (state_.length() + std::ssize(unfed_) > std::ssize(ids_)) {
    ids_.push_back(unfed_.back());  // the stop token
  }
  return std::move(flight.result);
}

void Session::reset() {
  state_.reset();
  ids_.clear();
  unfed_.clear();
}

SessionImage Session::save() const {
  return {ids_, state_.save(), random_};
}

void Session::restore(const SessionImage& image) {
  check_ids(image.ids, model_->decoder.config().vocab_size);
  SequenceState state(model_->decoder.state_spec(model_->precision), *model_->arena);
  state.restore(image.state);
  if (state.length() > std::ssize(image.ids)) {
    fail("session", "{} tokens: expected at least the {} of its state", image.ids.size(),
         state.length());
  }
  state_ = std::move(state);
  ids_ = image.ids;
  unfed_.assign(ids_.begin() + state_.length(), ids_.end());
  random_ = image.random;
}

std::vector<Generation> generate_many(const LoadedModel& model,
                                      std::span<const GenerationRequest> requests,
                                      const BatchOptions& options, const DoneCallback& done) {
  check(options.sequences > 0 && options.chunk > 0, "a batch has sequences and a chunk tokens");
  Batch batch(model, requests);
  while (batch.fill(options.sequences)) {
    batch.run(options.chunk);
    if (!batch.land(done)) {
      batch.cancel();
    }
  }
  return std::move(batch.results);
}

}  // namespace sambay
