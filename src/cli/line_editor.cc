#include "cli/line_editor.h"

#include <histedit.h>

#include <atomic>
#include <clocale>
#include <csignal>
#include <cstdio>

#include "base/error.h"

namespace sambay::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may set the flag");

void on_interrupt(int /*signal*/) {
  interrupted = true;
}

}  // namespace

struct LineEditor::Impl {
  explicit Impl(std::string text) : prompt(std::move(text)) {}

  std::string prompt;
  EditLine* line = nullptr;
  History* history = nullptr;
  struct sigaction before {};
};

LineEditor::LineEditor(std::string prompt) : impl_(std::make_unique<Impl>(std::move(prompt))) {
  // libedit takes what is typed for characters of the locale.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  impl_->line = el_init("sambay", stdin, stdout, stderr);
  impl_->history = history_init();
  check(impl_->line != nullptr && impl_->history != nullptr, "the line editor starts");
  constexpr int lines_kept = 1000;
  HistEvent event;
  history(impl_->history, &event, H_SETSIZE, lines_kept);
  el_set(impl_->line, EL_CLIENTDATA, impl_.get());
  const auto prompt_of = [](EditLine* line) {
    Impl* impl = nullptr;
    el_get(line, EL_CLIENTDATA, &impl);
    return impl->prompt.data();
  };
  el_set(impl_->line, EL_PROMPT, static_cast<char* (*)(EditLine*)>(prompt_of));
  el_set(impl_->line, EL_EDITOR, "emacs");
  el_set(impl_->line, EL_HIST, history, impl_->history);
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: a waiting read ends
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &impl_->before);
}

LineEditor::~LineEditor() {
  sigaction(SIGINT, &impl_->before, nullptr);
  history_end(impl_->history);
  el_end(impl_->line);
}

std::optional<std::string> LineEditor::read() {
  for (;;) {
    int count = 0;
    const char* text = el_gets(impl_->line, &count);
    if (take_interrupt()) {
      std::fputs("\n", stdout);
      el_reset(impl_->line);
      continue;
    }
    if (text == nullptr || count <= 0) {
      return std::nullopt;
    }
    std::string line(text, static_cast<size_t>(count));
    if (line.find_first_not_of(" \t\r\n") != std::string::npos) {
      HistEvent event;
      history(impl_->history, &event, H_ENTER, line.c_str());
    }
    if (line.ends_with('\n')) {
      line.pop_back();
    }
    return line;
  }
}

bool LineEditor::take_interrupt() {
  return interrupted.exchange(false);
}

}  // namespace sambay::cli
