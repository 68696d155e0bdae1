// What a reasoning model says, told apart: thinking between two marks, and the answer behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sambay {

struct ThinkingMarks {
  std::string begin = "<think>", end = "</think>";
};

// The marks that a chat template mentions, of those in use; else the usual ones.
ThinkingMarks find_thinking_marks(std::string_view chat_template);

// Whether a prompt ends with the mark that begins thinking: the model then goes on within it.
bool opens_thinking(std::string_view prompt, const ThinkingMarks& marks);

// Takes text as it comes; marks may be split over pieces.
class ThinkingSplitter {
 public:
  struct Part {
    bool thinking;
    std::string text;
    bool operator==(const Part&) const = default;
  };

  // Marks are not empty. `open`: the text begins within thinking.
  explicit ThinkingSplitter(ThinkingMarks marks, bool open = false);

  // The parts that became certain; their texts in order are all that was pushed and is not held
  // back. Thinking begins only at the beginning of the text, and ends once. Both marks and the
  // white space around them belong to it.
  std::vector<Part> push(std::string_view piece);
  // What was held back, when no more comes.
  std::vector<Part> finish();
  // Within thinking, as far as is certain.
  bool thinking() const { return place_ == Place::thinking; }

 private:
  enum class Place { start, thinking, behind, answer };

  bool step(std::vector<Part>& parts);
  void give(std::vector<Part>& parts, bool thinking, size_t bytes);

  ThinkingMarks marks_;
  Place place_;
  std::string held_;
};

}  // namespace sambay
