// How the publisher of a model writes conversations: a Jinja template beside its weights.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "formats/tokenizer_config.h"
#include "text/jinja/template.h"
#include "text/thinking.h"

namespace sambay {

// Immutable: any number of threads may use one.
class ChatTemplate {
 public:
  // From chat_template.jinja in the folder, else from tokenizer_config.json (of several, the one
  // named "default"); nothing if there is neither. `config`: the latter's content. Throws Error
  // naming the file, and the line of what the template has wrong.
  static std::optional<ChatTemplate> load(const std::filesystem::path& folder,
                                          const TokenizerConfig& config);

  // `tag` stands for the file in errors.
  ChatTemplate(std::string_view source, std::string tag, const TokenizerConfig& config);

  // messages: [{"role": "user", "content": "..."}, ...]. `variables`: further ones, an object.
  // Throws Error naming the line: what the template raises, or cannot do with these messages.
  std::string render(const jinja::Json& messages, bool add_generation_prompt,
                     const jinja::Json& variables = jinja::Json::object()) const;

  const ThinkingMarks& thinking_marks() const { return marks_; }

 private:
  jinja::Template template_;
  jinja::Json variables_;  // the special tokens
  ThinkingMarks marks_;
};

}  // namespace sambay
