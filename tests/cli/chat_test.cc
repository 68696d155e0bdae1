// The chat as someone at a terminal has it.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include "base/files.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A program on a pseudo-terminal of its own. Whatever it does or does not, every wait ends: at the
// deadline the test has failed and the program is killed.
class Terminal {
 public:
  Terminal(const char* program, const std::vector<std::string>& arguments) {
    std::vector<char*> argv = {const_cast<char*>(program)};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    const winsize size{.ws_row = 24, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
    child_ = forkpty(&terminal_, nullptr, nullptr, &size);
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
    if (terminal_ >= 0) {
      close(terminal_);
    }
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(std::string_view keys) {
    EXPECT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  // What was shown since the last call, up to and with `text`; all there was if it does not come.
  std::string until(const std::string& text) {
    while (shown_.find(text) == std::string::npos) {
      if (!more(deadline_)) {
        ADD_FAILURE() << "\"" << text << "\" never came after: " << shown_.substr(0, 2000);
        return std::exchange(shown_, {});
      }
    }
    const size_t end = shown_.find(text) + text.size();
    std::string before = shown_.substr(0, end);
    shown_.erase(0, end);
    return before;
  }

  // Waits until so much was shown.
  void until(size_t bytes) {
    while (shown_.size() < bytes) {
      ASSERT_TRUE(more(deadline_)) << "no more came after: " << shown_;
    }
  }

  // Types Ctrl-D until the program ends: one typed while the line editor takes the terminal over or
  // gives it back is lost, or becomes a part of the line, which Ctrl-U empties. The exit code, or
  // the negative signal.
  int leave() {
    const auto end = std::min(deadline_, Clock::now() + seconds(20));
    int status = 0;
    while (waitpid(child_, &status, WNOHANG) == 0) {
      if (Clock::now() >= end) {
        ADD_FAILURE() << "Ctrl-D did not end the program after: " << shown_.substr(0, 2000);
        kill(child_, SIGKILL);
        waitpid(child_, &status, 0);
        break;
      }
      type("\x15\x04");
      const auto next = std::min(end, Clock::now() + seconds(1));
      while (more(next)) {
      }
    }
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  // False if nothing comes until then, or the program has gone.
  bool more(Clock::time_point until) {
    char buffer[4096];
    pollfd ready{terminal_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
    const ssize_t count = left > 0 && poll(&ready, 1, static_cast<int>(left)) == 1
                              ? ::read(terminal_, buffer, sizeof(buffer))
                              : 0;
    if (count > 0) {
      shown_.append(buffer, static_cast<size_t>(count));
    }
    return count > 0;
  }

  int terminal_ = -1;
  pid_t child_ = -1;
  Clock::time_point deadline_ = Clock::now() + seconds(60);
  std::string shown_;
};

// Whether there are pseudo-terminals here, and Ctrl-C on one interrupts who runs on it.
bool terminals_work() {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) {
    return false;
  }
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);
    for (;;) {
      pause();
    }
  }
  int status = 0;
  pid_t ended = 0;
  for (int attempt = 0; ended == 0 && attempt < 50; ++attempt) {
    if (write(terminal, "\x03", 1) != 1) {
      break;
    }
    usleep(100'000);
    ended = waitpid(child, &status, WNOHANG);
  }
  if (ended == 0) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  close(terminal);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
}

class Chat : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!terminals_work()) {
      GTEST_SKIP() << "no pseudo-terminal to be had";
    }
    testing::save_tiny_model(folder_ / "model");
  }
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
  EXPECT_EQ(terminal.leave(), 0);
}

TEST_F(Chat, CtrlCStopsAnAnswerAndTheChatGoesOn) {
  Terminal terminal(SAMBAY_PROGRAM, {"run", model(), "--raw", "--max-tokens", "100000000",
                                     // What was said is said again: the answer never ends.
                                     "--repetition-penalty", "0.01"});
  terminal.until("> ");
  terminal.type("What is 2 times 3?\n");
  // More than the question's echo: the answer has begun, and the line is no longer being edited.
  terminal.until(500);
  terminal.type("\x03");
  terminal.until("[cancelled: ");
  terminal.until("> ");
  EXPECT_EQ(terminal.leave(), 0);
}

TEST_F(Chat, CommandsAreListedAndMistakesEndNothing) {
  Terminal terminal(SAMBAY_PROGRAM, {"run", model(), "--max-tokens", "5"});
  terminal.until("> ");
  const auto expect = [&](const std::string& typed, const std::string& shown) {
    terminal.type(typed + "\n");
    terminal.until(shown);
    terminal.until("> ");
  };
  expect("/help", "/save FILE");
  expect("/nonsense", "[chat] /nonsense: no such command");
  expect("/save", "[chat] /save: expected FILE");
  expect("/load " + (folder_ / "none").string(), "none]");
  expect("/load " + (folder_ / "model/model.safetensors").string(), "not a saved chat");
  expect(" /etc is a folder?", "tokens/s");
  terminal.type("/quit\n");
  EXPECT_EQ(terminal.leave(), 0);
}

// The answer and what is said of it but for the speeds.
std::string answer_to(Terminal& terminal, const std::string& question) {
  terminal.type(question + "\n");
  std::string shown = terminal.until("tokens/s");
  shown += terminal.until(" in ");
  shown.erase(0, shown.rfind(question) + question.size());
  const size_t count = shown.rfind(" tokens, "), behind = shown.rfind(" tokens/s");
  return count < behind ? shown.erase(count, behind - count) : shown;
}

TEST_F(Chat, IsSavedAndGoesOnInAnotherProcess) {
  write_atomically(folder_ / "model/chat.json",
                   R"({"about": "tiny", "examples": [], "multi_turn": true})");
  const std::string chat = (folder_ / "chat").string();
  std::string expected;
  {
    Terminal terminal(SAMBAY_PROGRAM,
                      {"run", model(), "--max-tokens", "9", "--temperature", "1", "--seed", "3"});
    terminal.until("> ");
    answer_to(terminal, "What is 2 times 3?");
    terminal.until("> ");
    terminal.type("/save " + chat + "\n");
    terminal.until("[saved 1 question");
    terminal.until("> ");
    expected = answer_to(terminal, "And 4 times 5?");
    terminal.until("> ");
    EXPECT_EQ(terminal.leave(), 0);
  }
  for (const bool at_start : {true, false}) {
    std::vector<std::string> arguments = {"run", model()};
    if (at_start) {
      arguments.insert(arguments.end(), {"--load", chat});
    }
    Terminal terminal(SAMBAY_PROGRAM, arguments);
    terminal.until("> ");
    if (!at_start) {
      terminal.type("/load " + chat + "\n");
      terminal.until("[loaded 1 question");
      terminal.until("> ");
    }
    EXPECT_EQ(answer_to(terminal, "And 4 times 5?"), expected);
    terminal.until("> ");
    EXPECT_EQ(terminal.leave(), 0);
  }
}

}  // namespace
}  // namespace sambay
