#include "text/thinking.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "text/partial_match.h"

namespace sambay {
namespace {

constexpr std::string_view white_space = " \t\r\n";

// Length of the white space that the text begins with.
size_t space_length(std::string_view text) {
  return std::min(text.find_first_not_of(white_space), text.size());
}

}  // namespace

ThinkingMarks find_thinking_marks(std::string_view chat_template) {
  static const std::array<ThinkingMarks, 5> known = {{{},
                                                      {"<thinking>", "</thinking>"},
                                                      {"<|START_THINKING|>", "<|END_THINKING|>"},
                                                      {"[THINK]", "[/THINK]"},
                                                      {"<seed:think>", "</seed:think>"}}};
  for (const ThinkingMarks& marks : known) {
    if (chat_template.find(marks.end) != chat_template.npos) {
      return marks;
    }
  }
  return {};
}

bool opens_thinking(std::string_view prompt, const ThinkingMarks& marks) {
  const size_t last = prompt.find_last_not_of(white_space);
  return last != prompt.npos && prompt.substr(0, last + 1).ends_with(marks.begin);
}

ThinkingSplitter::ThinkingSplitter(ThinkingMarks marks, bool open)
    : marks_(std::move(marks)), place_(open ? Place::thinking : Place::start) {
  check(!marks_.begin.empty() && !marks_.end.empty(), "the marks of thinking are not empty");
}

void ThinkingSplitter::give(std::vector<Part>& parts, bool thinking, size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (parts.empty() || parts.back().thinking != thinking) {
    parts.push_back({thinking, {}});
  }
  parts.back().text.append(held_, 0, bytes);
  held_.erase(0, bytes);
}

// Gives what is certain at the present place; true if the place changed.
bool ThinkingSplitter::step(std::vector<Part>& parts) {
  const Place before = place_;
  switch (place_) {
    case Place::start: {
      const size_t space = space_length(held_);
      const auto rest = std::string_view(held_).substr(space);
      if (rest.starts_with(marks_.begin)) {
        give(parts, true, space + marks_.begin.size());
        place_ = Place::thinking;
      } else if (!std::string_view(marks_.begin).starts_with(rest)) {
        place_ = Place::answer;
      }
      break;
    }
    case Place::thinking: {
      const size_t at = held_.find(marks_.end);
      if (at != std::string::npos) {
        give(parts, true, at + marks_.end.size());
        place_ = Place::behind;
      } else {
        give(parts, true, held_.size() - begun_length(held_, marks_.end));
      }
      break;
    }
    case Place::behind: {
      const size_t space = space_length(held_);
      const bool more = space < held_.size();
      give(parts, true, space);
      place_ = more ? Place::answer : Place::behind;
      break;
    }
    case Place::answer:
      give(parts, false, held_.size());
      break;
  }
  return place_ != before;
}

std::vector<ThinkingSplitter::Part> ThinkingSplitter::push(std::string_view piece) {
  held_ += piece;
  std::vector<Part> parts;
  while (step(parts)) {
  }
  return parts;
}

std::vector<ThinkingSplitter::Part> ThinkingSplitter::finish() {
  std::vector<Part> parts;
  give(parts, place_ == Place::thinking, held_.size());
  return parts;
}

}  // namespace sambay
