// What a model says of itself.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sambay {

// chat.json beside the weights: {"about": "...", "examples": ["..."], "multi_turn": false}.
struct About {
  std::string about;                  // what it is and what it can do
  std::vector<std::string> examples;  // questions to try
  bool multi_turn = false;            // it was trained to go on; else each question stands alone

  // Empty if the folder has no such file. Throws Error naming the field that is missing, unknown
  // or of another type.
  static About load(const std::filesystem::path& folder);
};

}  // namespace sambay
