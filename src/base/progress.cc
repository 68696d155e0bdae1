#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sambay {
namespace {

constexpr std::chrono::milliseconds redraw_interval{100};

size_t terminal_width(FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string rate_text(double per_second) {
  if (per_second >= 1e6) {
    return fmt::format("{:.2f}M", per_second / 1e6);
  }
  if (per_second >= 1e4) {
    return fmt::format("{:.1f}k", per_second / 1e3);
  }
  return fmt::format("{:.{}f}", per_second, per_second < 10 ? 2 : 0);
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 1) {
    return fmt::format("{:.0f}ms", seconds * 1e3);
  }
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  if (whole < 3600) {
    return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  }
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string text(const ProgressLine& line) {
  std::string out(line.title);
  const double share =
      line.total > 0
          ? std::clamp(static_cast<double>(line.done) / static_cast<double>(line.total), 0.0, 1.0)
          : 0;
  if (line.total > 0 && line.bar_width > 0) {
    const auto full = static_cast<size_t>(share * line.bar_width);
    out += fmt::format(" [{}{}]", std::string(full, '#'),
                       std::string(static_cast<size_t>(line.bar_width) - full, '.'));
  }
  out +=
      line.total > 0 ? fmt::format(" {}/{}", line.done, line.total) : fmt::format(" {}", line.done);
  out += line.unit.empty() ? "" : fmt::format(" {}", line.unit);
  if (line.total > 0) {
    out += fmt::format("  {:.0f}%", std::floor(share * 100));
  }
  const double rate =
      line.seconds > 0 ? static_cast<double>(line.done - line.begun) / line.seconds : 0;
  if (rate > 0) {
    out += fmt::format("  {}{}/s", rate_text(rate),
                       line.unit.empty() ? "" : fmt::format(" {}", line.unit));
  }
  if (line.last) {
    out += fmt::format("  in {}", duration_text(line.seconds));
  } else if (rate > 0 && line.total > line.done) {
    out +=
        fmt::format("  {} left", duration_text(static_cast<double>(line.total - line.done) / rate));
  }
  return line.note.empty() ? out : fmt::format("{}  {}", out, line.note);
}

Progress::Progress(std::string title, int64_t total, ProgressOptions options)
    : title_(std::move(title)),
      total_(total),
      options_(std::move(options)),
      terminal_(isatty(fileno(options_.out)) == 1),
      begin_(Clock::now()),
      drawn_(begin_) {}

Progress::~Progress() {
  if (line_open_) {
    std::fputc('\n', options_.out);
  }
}

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  const auto now = Clock::now();
  if (!options_.quiet && now - drawn_ >= (terminal_ ? redraw_interval : options_.plain_interval)) {
    draw(now, note, false);
  }
}

void Progress::finish(std::string_view note) {
  if (!options_.quiet) {
    draw(Clock::now(), note, true);
    line_open_ = false;
  }
}

void Progress::draw(Clock::time_point now, std::string_view note, bool last) {
  drawn_ = now;
  ProgressLine line{.title = title_,
                    .unit = options_.unit,
                    .note = note,
                    .done = done_,
                    .total = total_,
                    .begun = options_.begun,
                    .seconds = std::chrono::duration<double>(now - begin_).count(),
                    .last = last};
  if (!terminal_) {
    fmt::print(options_.out, "{}\n", text(line));
    std::fflush(options_.out);
    return;
  }
  line.bar_width = 24;
  // A line that wraps could not be redrawn.
  const std::string shown = text(line).substr(0, terminal_width(options_.out) - 1);
  fmt::print(options_.out, "\r{}\x1b[K{}", shown, last ? "\n" : "");
  std::fflush(options_.out);
  line_open_ = !last;
}

}  // namespace sambay
