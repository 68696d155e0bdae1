#include "cli/thinking_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace sambay::cli {

ThinkingDisplay parse_thinking_display(std::string_view name) {
  if (name.empty()) {
    return isatty(STDOUT_FILENO) != 0 ? ThinkingDisplay::dim : ThinkingDisplay::show;
  }
  return name == "show"  ? ThinkingDisplay::show
         : name == "dim" ? ThinkingDisplay::dim
                         : ThinkingDisplay::hide;
}

void ThinkingPrinter::print(const ThinkingSplitter::Part& part) {
  if (part.text.empty() || (part.thinking && display_ == ThinkingDisplay::hide)) {
    return;
  }
  if (!part.thinking) {
    end();
  } else if (display_ == ThinkingDisplay::dim && !dimmed_) {
    fmt::print("\x1b[2m");
    dimmed_ = true;
  }
  fmt::print("{}", part.text);
  std::fflush(stdout);
}

void ThinkingPrinter::end() {
  if (dimmed_) {
    fmt::print("\x1b[0m");
    dimmed_ = false;
  }
}

}  // namespace sambay::cli
