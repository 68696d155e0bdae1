// Hugging Face generation_config.json: how the publisher of a model wants it sampled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sambay {

// The defaults are those of Hugging Face's generate where the file does not say.
struct GenerationConfig {
  bool do_sample = false;
  double temperature = 1;
  int32_t top_k = 50;
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  std::vector<int32_t> eos_token_ids;
  std::vector<std::string> stop_strings;
  std::optional<int64_t> max_new_tokens;
  std::optional<int64_t> max_length;  // the prompt counts
};

// Fields that change what is generated and are not above must have the value that changes nothing.
// Throws Error naming the file and the field that is malformed, unknown or asks for something else.
GenerationConfig read_generation_config(const std::filesystem::path& path);
// The same from text in memory; `tag` stands for the file in errors.
GenerationConfig parse_generation_config(std::string_view json, const std::string& tag);

}  // namespace sambay
