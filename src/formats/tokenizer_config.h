// Hugging Face tokenizer_config.json, as far as chat needs it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sambay {

struct TokenizerConfig {
  // By name; a file with one template calls it "default".
  std::vector<std::pair<std::string, std::string>> chat_templates;
  // What templates know by these names: {"eos_token", "<|endoftext|>"}...; those that are set.
  std::vector<std::pair<std::string, std::string>> special_tokens;
  bool add_bos_token = false;  // before text that is no chat

  // Empty if there is none of that name.
  std::string special_token(std::string_view name) const;
};

// Throws Error naming the file and the field that has another type than expected.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& path);
// The same from text in memory; `tag` stands for the file in errors.
TokenizerConfig parse_tokenizer_config(std::string_view json, const std::string& tag);

}  // namespace sambay
