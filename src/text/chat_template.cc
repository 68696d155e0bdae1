#include "text/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"

namespace sambay {

std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder,
                                               const TokenizerConfig& config) {
  const auto file = folder / "chat_template.jinja";
  if (std::filesystem::exists(file)) {
    return ChatTemplate(read_text(file), file.string(), config);
  }
  const auto& templates = config.chat_templates;
  if (templates.empty()) {
    return {};
  }
  const std::string tag = (folder / "tokenizer_config.json").string() + ": chat_template";
  const auto found = std::find_if(templates.begin(), templates.end(),
                                  [](const auto& named) { return named.first == "default"; });
  if (found == templates.end()) {
    fail(tag, "no template named default; the first is {}", templates.front().first);
  }
  return ChatTemplate(found->second, tag, config);
}

ChatTemplate::ChatTemplate(std::string_view source, std::string tag, const TokenizerConfig& config)
    : template_(source, std::move(tag)),
      variables_(jinja::Json::object()),
      marks_(find_thinking_marks(source)) {
  for (const auto& [name, content] : config.special_tokens) {
    variables_[name] = content;
  }
}

std::string ChatTemplate::render(const jinja::Json& messages, bool add_generation_prompt,
                                 const jinja::Json& variables) const {
  jinja::Json all = variables_;
  all["messages"] = messages;
  all["tools"] = nullptr;
  all["documents"] = nullptr;
  all["add_generation_prompt"] = add_generation_prompt;
  for (const auto& [name, value] : variables.items()) {
    all[name] = value;
  }
  return template_.render(all);
}

}  // namespace sambay
