#include "engine/conversation.h"

#include <algorithm>

#include "base/error.h"
#include "model/weights.h"

namespace sambay {
namespace {

// The token if it is a special one: it has no text of its own otherwise.
std::optional<int32_t> special_id(const Tokenizer& tokenizer, std::string_view mark) {
  const auto id = tokenizer.id_of(mark);
  return id && tokenizer.is_special(*id) ? id : std::nullopt;
}

}  // namespace

ChatSettings ChatSettings::load(const std::filesystem::path& folder) {
  ChatSettings settings;
  settings.about = About::load(folder);
  const auto config = folder / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    settings.tokenizer = read_tokenizer_config(config);
  }
  settings.chat_template = ChatTemplate::load(folder, settings.tokenizer);
  return settings;
}

GenerationDefaults to_defaults(const GenerationConfig& config) {
  GenerationDefaults defaults;
  if (config.do_sample) {
    defaults.sampling.temperature = static_cast<float>(config.temperature);
    defaults.sampling.top_k = config.top_k;
    defaults.sampling.top_p = static_cast<float>(config.top_p);
    defaults.sampling.min_p = static_cast<float>(config.min_p);
  }
  defaults.sampling.repetition_penalty = static_cast<float>(config.repetition_penalty);
  defaults.stop_ids = config.eos_token_ids;
  defaults.stop_texts = config.stop_strings;
  defaults.max_tokens = config.max_new_tokens;
  defaults.max_length = config.max_length;
  return defaults;
}

std::optional<GenerationDefaults> load_generation_defaults(const std::filesystem::path& folder) {
  const auto file = folder / "generation_config.json";
  if (!std::filesystem::exists(file)) {
    return {};
  }
  GenerationDefaults defaults = to_defaults(read_generation_config(file));
  try {
    check_options(defaults.sampling);
  } catch (const Error& error) {
    fail(file.string(), "{}", error.what());
  }
  return defaults;
}

Conversation::Conversation(const LoadedModel& model, const ChatSettings& settings,
                           ConversationOptions options)
    : model_(&model), settings_(&settings), options_(std::move(options)), session_(model) {
  if (settings.about.thinking) {
    marks_ = *settings.about.thinking;
  } else if (settings.chat_template) {
    marks_ = settings.chat_template->thinking_marks();
  }
  const bool chat = !options_.raw && !settings.chat_template;
  if (chat && model.tokenizer.id_of(ChatFormat::assistant_mark)) {
    format_.emplace(model.tokenizer);
  }
  if (!options_.system.empty()) {
    if (options_.raw || !settings.chat_template) {
      fail("system", "a system text needs a chat template, and this model has none in use");
    }
    messages_.push_back({{"role", "system"}, {"content", options_.system}});
  }
  add_stop_tokens();
  for (const auto& mark : {marks_.begin, marks_.end}) {
    if (const auto id = special_id(model.tokenizer, mark)) {
      options_.generate.shown_ids.push_back(*id);
    }
  }
}

void Conversation::add_stop_tokens() {
  auto& stops = options_.generate.stop_ids;
  if (format_) {
    stops.push_back(format_->end_id());
  }
  for (const std::string& mark :
       {std::string(end_of_text_mark), settings_->tokenizer.special_token("eos_token")}) {
    if (const auto id = model_->tokenizer.id_of(mark); !mark.empty() && id) {
      stops.push_back(*id);
    }
  }
}

bool Conversation::multi_turn() const {
  return !options_.raw && (settings_->chat_template || format_) &&
         settings_->about.multi_turn.value_or(settings_->chat_template.has_value());
}

Conversation::Prompt Conversation::templated(const std::string& question) {
  jinja::Json messages = messages_;
  while (!multi_turn() && !messages.empty() && messages.back()["role"] != "system") {
    messages.erase(messages.size() - 1);
  }
  messages.push_back({{"role", "user"}, {"content", question}});
  const std::string text = settings_->chat_template->render(messages, true);
  return {new_part(model_->tokenizer.encode(text)), std::move(messages),
          opens_thinking(text, marks_)};
}

std::vector<int32_t> Conversation::new_part(std::vector<int32_t> ids) {
  const auto known = session_.ids();
  const bool goes_on =
      known.size() < ids.size() && std::equal(known.begin(), known.end(), ids.begin());
  if (!goes_on) {
    session_.reset();
    return ids;
  }
  ids.erase(ids.begin(), ids.begin() + std::ssize(known));
  return ids;
}

Conversation::Prompt Conversation::marked(const std::string& question) {
  Prompt prompt;
  if (!multi_turn()) {
    session_.reset();
  } else if (!session_.ids().empty()) {
    prompt.messages = messages_;
    if (unfinished_) {
      prompt.ids.push_back(format_->end_id());
    }
  }
  prompt.messages.push_back({{"role", "user"}, {"content", question}});
  const auto ids = format_->prompt(question);
  prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
  return prompt;
}

Conversation::Prompt Conversation::bare(std::string_view text) {
  session_.reset();
  Prompt prompt;
  const std::string bos = settings_->tokenizer.special_token("bos_token");
  if (settings_->tokenizer.add_bos_token && !bos.empty() && model_->tokenizer.id_of(bos)) {
    prompt.ids.push_back(*model_->tokenizer.id_of(bos));
  }
  model_->tokenizer.encode_to(prompt.ids, text, AddedTokens::as_text);
  prompt.opens_thinking = opens_thinking(text, marks_);
  return prompt;
}

Answer Conversation::ask(const std::string& question, const SpeechCallback& callback) {
  const bool by_template = !options_.raw && settings_->chat_template;
  Prompt prompt = by_template ? templated(question) : format_ ? marked(question) : bare(question);
  GenerateOptions options = options_.generate;
  if (options_.max_length) {
    const int64_t left = *options_.max_length - std::ssize(session_.ids()) - std::ssize(prompt.ids);
    if (left < 1) {
      fail("conversation", "longer than the {} tokens of max_length", *options_.max_length);
    }
    options.max_tokens = std::min(options.max_tokens, left);
  }
  if (options_.max_thinking_tokens) {
    options.thinking = {*options_.max_thinking_tokens, marks_, prompt.opens_thinking};
  }
  Answer answer;
  ThinkingSplitter splitter(marks_, prompt.opens_thinking);
  const auto take = [&](const std::vector<ThinkingSplitter::Part>& parts) {
    bool go_on = true;
    for (const auto& part : parts) {
      (part.thinking ? answer.thinking : answer.answer) += part.text;
      go_on &= !callback || callback(part);
    }
    return go_on;
  };
  answer.generation = session_.generate(prompt.ids, options, [&](std::string_view piece) {
    const auto parts = splitter.push(piece);
    // A token without text is told, too: somebody may want to cancel.
    return parts.empty() ? !callback || callback({splitter.thinking(), {}}) : take(parts);
  });
  take(splitter.finish());
  unfinished_ = answer.generation.reason != FinishReason::stop;
  messages_ = std::move(prompt.messages);
  if (by_template || format_) {
    messages_.push_back({{"role", "assistant"}, {"content", answer.generation.text}});
  }
  return answer;
}

ChatPartner Conversation::partner() const {
  const bool by_template = !options_.raw && settings_->chat_template;
  return {model_->decoder.config().name, fingerprint(model_->decoder),
          fingerprint(model_->tokenizer.spec()), name(model_->precision.compute),
          by_template ? "template"
          : format_   ? "marks"
                      : "text"};
}

SavedChat Conversation::save() const {
  SavedChat chat{partner(), settings(), {}, unfinished_, session_.save()};
  for (const auto& message : messages_) {
    chat.messages.push_back(
        {message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  return chat;
}

void Conversation::restore(const SavedChat& chat) {
  const ChatPartner ours = partner();
  const ChatPartner& theirs = chat.partner;
  if (theirs.model != ours.model) {
    fail("chat", "it was with the model \"{}\", this one is \"{}\"", theirs.model, ours.model);
  }
  const auto same = [&](const char* what, const std::string& theirs_is,
                        const std::string& ours_is) {
    if (theirs_is != ours_is) {
      fail("chat", "it was with another \"{}\": {} {}, this one has {}", ours.model, what,
           theirs_is, ours_is);
    }
  };
  same("dtype", theirs.dtype, ours.dtype);
  same("weights", theirs.weights, ours.weights);
  same("tokenizer", theirs.tokenizer, ours.tokenizer);
  same("format of questions", theirs.format, ours.format);
  session_.restore(chat.session);
  messages_ = jinja::Json::array();
  for (const ChatMessage& message : chat.messages) {
    messages_.push_back({{"role", message.role}, {"content", message.content}});
  }
  unfinished_ = chat.unfinished;
}

AnswerSettings Conversation::settings() const {
  const GenerateOptions& generate = options_.generate;
  return {generate.sampling, generate.max_tokens, generate.stop_texts,
          options_.max_thinking_tokens};
}

void Conversation::set(const AnswerSettings& settings) {
  GenerateOptions& generate = options_.generate;
  generate.sampling = settings.sampling;
  generate.max_tokens = settings.max_tokens;
  generate.stop_texts = settings.stop_texts;
  options_.max_thinking_tokens = settings.max_thinking_tokens;
}

int64_t Conversation::questions() const {
  return std::count_if(messages_.begin(), messages_.end(),
                       [](const auto& message) { return message["role"] == "user"; });
}

}  // namespace sambay
