// Lines that somebody types, with history.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace sambay::cli {

// While one exists, Ctrl-C sets a flag instead of ending the process.
class LineEditor {
 public:
  explicit LineEditor(std::string prompt);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Without its line end; nothing at the end of input (Ctrl-D). Ctrl-C empties the line and begins
  // anew. The bytes may be anything.
  std::optional<std::string> read();
  // Whether Ctrl-C was pressed since it was asked last.
  static bool take_interrupt();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sambay::cli
