// What a model says, on standard output as it comes.
#pragma once

#include <string_view>

#include "text/thinking.h"

namespace sambay::cli {

enum class ThinkingDisplay { show, dim, hide };
// "show", "dim" or "hide"; empty: dim on a terminal, else show.
ThinkingDisplay parse_thinking_display(std::string_view name);

class ThinkingPrinter {
 public:
  explicit ThinkingPrinter(ThinkingDisplay display) : display_(display) {}

  void print(const ThinkingSplitter::Part& part);
  // After the last part: the terminal is as it was.
  void end();

 private:
  ThinkingDisplay display_;
  bool dimmed_ = false;
};

}  // namespace sambay::cli
