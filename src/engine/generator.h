// Text from prompts: one conversation at a time, or many prompts at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/sampler.h"
#include "model/decoder.h"
#include "text/thinking.h"
#include "text/tokenizer.h"

namespace sambay {

// A model ready to run.
struct LoadedModel {
  std::unique_ptr<Arena> arena;
  Precision precision;
  Decoder decoder;
  Tokenizer tokenizer;

  // Throws Error naming the file; also if the tokenizer has more tokens than the model.
  static LoadedModel load(const std::filesystem::path& folder, const Precision& precision);
};

// Ends a model's thinking: after so many of its tokens the mark that ends it is put in.
struct ThinkingLimit {
  int64_t max_tokens = 0;
  ThinkingMarks marks = {};
  bool open = false;  // the prompt has begun it already
};

struct GenerateOptions {
  SamplingOptions sampling = {};
  int64_t max_tokens = 512;
  std::vector<int32_t> stop_ids = {};        // end the text and are no part of it
  std::vector<std::string> stop_texts = {};  // the same, across the borders of tokens
  std::vector<int32_t> shown_ids = {};       // special tokens that are text nevertheless
  std::optional<ThinkingLimit> thinking = {};
};

enum class FinishReason : uint8_t { stop, length, cancelled };
const char* name(FinishReason reason);

struct Generation {
  std::vector<int32_t> ids;  // without the stop token
  std::string text;          // special tokens left out but for those shown, up to a stop text
  FinishReason reason = FinishReason::length;
  std::vector<SampledToken> tokens;  // each that was sampled, the stop token too; if log_probs >= 0
  int64_t prompt_tokens = 0;
  int64_t sampled_tokens = 0;  // the stop token counts
  double prefill_seconds = 0;  // up to the first token
  double decode_seconds = 0;   // of the sampled tokens after the first

  double prefill_rate() const;  // tokens a second; 0 if nothing was measured
  double decode_rate() const;
};

// Called after each forward with the text that became certain, which may be none; false cancels.
using TextCallback = std::function<bool(std::string_view piece)>;

// Rows of a forward beside those of decoding sequences: long prompts are fed in such chunks, so
// that activations stay small whatever the prompt's length.
inline constexpr int64_t default_chunk = 512;

// A session at rest: what it takes to go on as if it had never stopped.
struct SessionImage {
  std::vector<int32_t> ids;        // all tokens so far
  std::vector<std::byte> state;    // of those that were fed: SequenceState::save()
  std::optional<RngState> random;  // where the random numbers go on, once some were drawn
};

// One sequence that goes on from call to call, as a conversation does. The model must outlive it.
class Session {
 public:
  explicit Session(const LoadedModel& model, int64_t chunk = default_chunk);

  // Appends the prompt to what was said so far and generates; random numbers go on from call to
  // call unless the seed changes. Throws Error if the prompt and the last token said are both
  // empty, or an id is not one of the model's; what fails later, a forward, resets the session.
  Generation generate(std::span<const int32_t> prompt, const GenerateOptions& options,
                      const TextCallback& callback = {});
  // Forgets everything said so far, but not where the random numbers are.
  void reset();
  SessionImage save() const;
  // Throws Error, and leaves the session as it was, if the image does not fit the model.
  void restore(const SessionImage& image);
  int64_t length() const { return state_.length(); }
  // All tokens so far, prompts' and sampled, stop tokens too.
  std::span<const int32_t> ids() const { return ids_; }

 private:
  const LoadedModel* model_;
  int64_t chunk_;
  SequenceState state_;
  std::vector<int32_t> ids_;
  // Sampled last, and not yet fed: the next prompt follows it.
  std::vector<int32_t> unfed_;
  std::optional<RngState> random_;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;
  GenerateOptions options;
};

struct BatchOptions {
  int64_t sequences = 32;  // in flight at once
  int64_t chunk = default_chunk;
};

// Called as each request ends; false stops everything, and what was not finished is cancelled.
using DoneCallback = std::function<bool(size_t index, const Generation& generation)>;

// All requests, each from an empty state; where one ends the next begins while the others go on.
// What a request gives depends on the others only as far as matrix products round differently for
// other numbers of rows. Throws Error as Session::generate does.
std::vector<Generation> generate_many(const LoadedModel& model,
                                      std::span<const GenerationRequest> requests,
                                      const BatchOptions& options, const DoneCallback& done = {});

}  // namespace sambay
