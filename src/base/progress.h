// How far long work has come, on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sambay {

struct ProgressOptions {
  std::string unit;    // what is counted: "tokens", "steps"
  bool quiet = false;  // --json: nothing at all
  int64_t begun = 0;   // done before this process began, as in a resumed run: no part of the rate
  FILE* out = stderr;
  std::chrono::milliseconds plain_interval{5000};  // between lines when `out` is no terminal
};

// On a terminal one bar that is redrawn; elsewhere a plain line now and then. One thread only.
class Progress {
 public:
  // total 0: not known beforehand.
  Progress(std::string title, int64_t total, ProgressOptions options);
  ~Progress();  // ends the bar's line where finish() was not reached
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `note` is free text behind the numbers, such as "loss 2.31". Cheap when nothing is due.
  void update(int64_t done, std::string_view note = {});
  // The last state, with the time taken instead of the time left.
  void finish(std::string_view note = {});

 private:
  using Clock = std::chrono::steady_clock;

  void draw(Clock::time_point now, std::string_view note, bool last);

  std::string title_;
  int64_t total_;
  ProgressOptions options_;
  bool terminal_;
  Clock::time_point begin_, drawn_;
  int64_t done_ = 0;
  bool line_open_ = false;
};

// "training [####......] 400/1000 tokens  40%  100 tokens/s  6s left  loss 2.31"; the bar if
// bar_width > 0; the time taken if `last`.
struct ProgressLine {
  std::string_view title, unit, note;
  int64_t done = 0, total = 0, begun = 0;
  double seconds = 0;
  int bar_width = 0;
  bool last = false;
};
std::string text(const ProgressLine& line);

// "950ms", "42s", "3m 05s", "2h 07m".
std::string duration_text(double seconds);

}  // namespace sambay
