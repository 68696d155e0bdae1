// The chat as someone at a terminal has it.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

// A program on a pseudo-terminal.
class Terminal {
 public:
  Terminal(const char* program, const std::vector<std::string>& arguments) {
    std::vector<char*> argv = {const_cast<char*>(program)};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    child_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    check(child_ >= 0, "a pseudo-terminal can be had");
    if (child_ == 0) {
      setenv("TERM", "dumb", 1);
      execv(program, argv.data());
      _exit(127);
    }
  }
  ~Terminal() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    close(terminal_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(std::string_view keys) {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  // What was shown since the last call, up to and with `text`; all there was if it never comes.
  std::string until(const std::string& text) {
    while (shown_.find(text) == std::string::npos) {
      if (!more()) {
        ADD_FAILURE() << "\"" << text << "\" never came after: " << shown_;
        return std::exchange(shown_, {});
      }
    }
    const size_t end = shown_.find(text) + text.size();
    std::string before = shown_.substr(0, end);
    shown_.erase(0, end);
    return before;
  }

  // Waits for something to be shown.
  void until_anything() {
    while (shown_.empty()) {
      ASSERT_TRUE(more());
    }
  }

  int exit_code() {
    char buffer[4096];
    while (::read(terminal_, buffer, sizeof(buffer)) > 0) {
    }
    int status = 0;
    waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  // False if nothing comes for long, or the program has gone.
  bool more() {
    constexpr int patience_ms = 60'000;
    char buffer[4096];
    pollfd ready{terminal_, POLLIN, 0};
    const ssize_t count =
        poll(&ready, 1, patience_ms) == 1 ? ::read(terminal_, buffer, sizeof(buffer)) : 0;
    if (count > 0) {
      shown_.append(buffer, static_cast<size_t>(count));
    }
    return count > 0;
  }

  int terminal_ = -1;
  pid_t child_ = -1;
  std::string shown_;
};

class Chat : public ::testing::Test {
 protected:
  void SetUp() override { testing::save_tiny_model(folder_ / "model"); }
  std::string model() const { return (folder_ / "model").string(); }
  testing::TempDir folder_;
};

TEST_F(Chat, AnswersWithItsSpeedAndLeavesAtCtrlD) {
  Terminal terminal(SAMBAY_PROGRAM, {"run", model(), "--max-tokens", "5"});
  EXPECT_NE(terminal.until("> ").find("Ctrl-D leaves"), std::string::npos);
  for (const char* question : {"What is 2 times 3?\n", "And é?\n"}) {
    terminal.type(question);
    terminal.until("tokens/s");
    terminal.until("> ");
  }
  terminal.type("\n");  // an empty line asks nothing
  EXPECT_EQ(terminal.until("> ").find("tokens/s"), std::string::npos);
  terminal.type("\x04");
  EXPECT_EQ(terminal.exit_code(), 0);
}

TEST_F(Chat, CtrlCStopsAnAnswerAndTheChatGoesOn) {
  Terminal terminal(SAMBAY_PROGRAM, {"run", model(), "--raw", "--max-tokens", "100000000"});
  terminal.until("> ");
  terminal.type("What is 2 times 3?\n");
  terminal.until("\n");
  terminal.until_anything();  // the answer has begun: the line is no longer being edited
  terminal.type("\x03");
  terminal.until("tokens/s");
  terminal.until("> ");
  terminal.type("\x04");
  EXPECT_EQ(terminal.exit_code(), 0);
}

}  // namespace
}  // namespace sambay
