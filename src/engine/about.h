// What a model says of itself.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/thinking.h"

namespace sambay {

// chat.json beside the weights: {"about": "...", "examples": ["..."], "multi_turn": false}, and
// "thinking": ["<think>", "</think>"] if the model marks its thinking otherwise than its chat
// template says.
struct About {
  std::string about;                  // what it is and what it can do
  std::vector<std::string> examples;  // questions to try
  // It was trained to go on; else each question stands alone. Unknown without the file.
  std::optional<bool> multi_turn;
  std::optional<ThinkingMarks> thinking;

  // Empty if the folder has no such file. Throws Error naming the field that is missing, unknown
  // or of another type.
  static About load(const std::filesystem::path& folder);
  // A chat.json in memory; `where` stands for the file in errors.
  static About parse(std::string_view json, const std::string& where);
};

}  // namespace sambay
