// Talking to a model: how questions become prompts, and what is said becomes thinking and answers.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/about.h"
#include "engine/generator.h"
#include "engine/saved_chat.h"
#include "formats/generation_config.h"
#include "formats/tokenizer_config.h"
#include "text/chat.h"
#include "text/chat_template.h"

namespace sambay {

// What the files beside the weights say about talking to a model.
struct ChatSettings {
  About about;
  TokenizerConfig tokenizer;
  std::optional<ChatTemplate> chat_template;

  // Files that are not there leave their part empty. Throws Error naming the file.
  static ChatSettings load(const std::filesystem::path& folder);
};

// generation_config.json of the folder as options: greedy unless it says do_sample. Nothing if the
// folder has none. Throws Error naming file and field.
struct GenerationDefaults {
  SamplingOptions sampling = {};
  std::vector<int32_t> stop_ids = {};
  std::vector<std::string> stop_texts = {};
  std::optional<int64_t> max_tokens = {};
  std::optional<int64_t> max_length = {};  // tokens of prompt and answer together
};
std::optional<GenerationDefaults> load_generation_defaults(const std::filesystem::path& folder);
GenerationDefaults to_defaults(const GenerationConfig& config);

struct ConversationOptions {
  GenerateOptions generate = {};  // stop tokens of the model's own formats are added
  bool raw = false;               // prompts are text to go on with, no questions
  std::string system = {};        // what the model is told first
  std::optional<int64_t> max_thinking_tokens = {};
  std::optional<int64_t> max_length = {};  // tokens of the whole conversation
};

struct Answer {
  Generation generation;
  std::string thinking, answer;  // together they are generation.text
};

// Called with text as it becomes certain; false cancels.
using SpeechCallback = std::function<bool(const ThinkingSplitter::Part& part)>;

// The chat template of the model, else the marks of our own tokenizers, else bare text. The state
// of what was said is kept: of the next prompt only what is new is computed. The model and the
// settings must outlive it.
class Conversation {
 public:
  // Throws Error if there is no way to tell the model the system text.
  Conversation(const LoadedModel& model, const ChatSettings& settings, ConversationOptions options);

  // Throws Error as Session::generate does, if the template refuses the conversation, or if
  // nothing is left of max_length; the question then counts as not asked.
  Answer ask(const std::string& question, const SpeechCallback& callback = {});

  // All there is, and back: what is asked next is answered to the bit as if the conversation had
  // never stopped, and nothing of what was said is computed again. The settings are for the caller
  // to take or leave. restore throws Error, and leaves the conversation as it was, if the saved one
  // was with another model.
  SavedChat save() const;
  void restore(const SavedChat& chat);

  AnswerSettings settings() const;
  void set(const AnswerSettings& settings);
  int64_t length() const { return std::ssize(session_.ids()); }  // tokens
  int64_t questions() const;

 private:
  struct Prompt {
    std::vector<int32_t> ids;
    jinja::Json messages = jinja::Json::array();  // with the question
    bool opens_thinking = false;
  };
  ChatPartner partner() const;
  void add_stop_tokens();
  bool multi_turn() const;
  Prompt templated(const std::string& question);
  Prompt marked(const std::string& question);
  Prompt bare(std::string_view text);
  // What of the whole prompt is new, if it goes on from what the session has; else all of it.
  std::vector<int32_t> new_part(std::vector<int32_t> ids);

  const LoadedModel* model_;
  const ChatSettings* settings_;
  ConversationOptions options_;
  ThinkingMarks marks_;
  std::optional<ChatFormat> format_;
  Session session_;
  jinja::Json messages_ = jinja::Json::array();
  bool unfinished_ = false;  // the last answer was cut off: its turn is still open
};

}  // namespace sambay
