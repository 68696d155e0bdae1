// `sambay pull` as a process: killed, stopped, two at once.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/environment.h"
#include "support/fake_hub.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;
using testing::FakeHub;
using ::testing::HasSubstr;
using testing::Reply;

// The program at work; killed if the test does not wait for it.
class Child {
 public:
  Child(const fs::path& folder, std::vector<std::string> arguments)
      : out_(folder / fmt::format("out-{}", count)), err_(folder / fmt::format("err-{}", count)) {
    ++count;
    arguments.insert(arguments.begin(), SAMBAY_PROGRAM);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
      pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(out_.c_str(), flags, 0666), err = open(err_.c_str(), flags, 0666);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in, STDIN_FILENO);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      execv(SAMBAY_PROGRAM, pointers.data());
      _exit(127);
    }
    for (const int fd : {in, out, err}) {
      close(fd);
    }
  }
  ~Child() {
    if (pid_ > 0) {
      send(SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void send(int signal) const { kill(pid_, signal); }
  // The exit code, or -1 if a signal ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string out() const { return read_text(out_); }
  std::string err() const { return read_text(err_); }

 private:
  inline static int count = 0;

  fs::path out_, err_;
  pid_t pid_ = 0;
};

class Pull : public ::testing::Test {
 protected:
  Pull() {
    hub_.files = {{"config.json", {"{}"}}, {"model.safetensors", {testing::noise(bytes, 1), true}}};
  }

  // The next answer with weights stops after `sent` bytes and waits for the client to go.
  void hold_weights(int64_t sent) {
    hub_.disturb("model.safetensors", [sent](Reply& reply) {
      reply.sent = sent;
      reply.hold = true;
    });
  }
  void wait_for_incomplete(int64_t size) const {
    const fs::path path =
        cache_ / "blobs" / (hub_.files.at("model.safetensors").digest() + ".incomplete");
    std::error_code error;
    for (int i = 0; i < 5000; ++i) {
      if (fs::file_size(path, error) == static_cast<uintmax_t>(size) && !error) {
        return;
      }
      usleep(1000);
    }
    FAIL() << "the pull has not got as far as " << size << " bytes";
  }
  void expect_whole() const {
    EXPECT_EQ(testing::faults_of_cache(cache_), "");
    EXPECT_EQ(read_text(cache_ / "snapshots" / FakeHub::commit / "model.safetensors"),
              hub_.files.at("model.safetensors").content);
    EXPECT_EQ(read_text(cache_ / "refs/main"), FakeHub::commit);
  }
  void expect_nothing_looks_whole() const {
    EXPECT_EQ(testing::faults_of_cache(cache_), "");
    EXPECT_FALSE(fs::exists(cache_ / "refs/main"));
    EXPECT_FALSE(fs::exists(cache_ / "snapshots" / FakeHub::commit / "config.json"));
  }
  std::unique_ptr<Child> start(std::vector<std::string> arguments = {"pull", "org/name"}) const {
    return std::make_unique<Child>(folder_.path(), std::move(arguments));
  }

  static constexpr int64_t bytes = 600'000;
  const testing::TempDir folder_;
  FakeHub hub_;
  const testing::Environment environment_{{"HF_HOME", folder_.path().string()},
                                          {"HF_ENDPOINT", hub_.url()}};
  const fs::path cache_ = folder_ / "hub/models--org--name";
};

TEST_F(Pull, PrintsTheFolderOrAReport) {
  const auto first = start();
  EXPECT_EQ(first->wait(), 0) << first->err();
  EXPECT_EQ(first->out(), (cache_ / "snapshots" / FakeHub::commit).string() + "\n");
  EXPECT_THAT(first->err(), HasSubstr("600/600 kB"));
  expect_whole();
  const auto second = start({"pull", "org/name@main", "--json"});
  EXPECT_EQ(second->wait(), 0);
  EXPECT_EQ(second->err(), "");
  const auto report = nlohmann::json::parse(second->out());
  EXPECT_EQ(report["commit"], FakeHub::commit);
  EXPECT_EQ(report["files"].size(), 2U);
  EXPECT_EQ(report["files"][0]["fetched_bytes"], 0);
}

TEST_F(Pull, FaultsAreOneLine) {
  const auto expect_fault = [&](std::vector<std::string> arguments, int code, const char* words) {
    const auto child = start(std::move(arguments));
    EXPECT_EQ(child->wait(), code);
    EXPECT_EQ(child->out(), "");
    const std::string err = child->err();
    EXPECT_THAT(err, HasSubstr(words));
    EXPECT_EQ(std::ranges::count(err, '\n'), 1) << err;
  };
  expect_fault({"pull"}, 2, "model");
  expect_fault({"pull", "org/name", "--connections", "0"}, 2, "--connections");
  expect_fault({"pull", "name"}, 1, "ORG/NAME");
  expect_fault({"pull", "org/other"}, 1, "404");
}

TEST_F(Pull, KilledItGoesOnWhereItWas) {
  int64_t before = 0;
  for (const int64_t arrived : {int64_t{1}, int64_t{70'000}, bytes - 1}) {
    hold_weights(arrived - before);
    const auto child = start();
    wait_for_incomplete(arrived);
    child->send(SIGKILL);
    EXPECT_EQ(child->wait(), -1);
    expect_nothing_looks_whole();
    before = arrived;
  }
  const auto last = start();
  EXPECT_EQ(last->wait(), 0) << last->err();
  expect_whole();
  EXPECT_EQ(hub_.storage().requests().back().header("range"), fmt::format("bytes={}-", bytes - 1));
}

TEST_F(Pull, KilledAtAnyTimeNothingLooksWholeThatIsNot) {
  for (int milliseconds = 0; milliseconds < 40; milliseconds += 4) {
    const auto child = start();
    usleep(static_cast<useconds_t>(milliseconds) * 1000);
    child->send(SIGKILL);
    child->wait();
    EXPECT_EQ(testing::faults_of_cache(cache_), "");
    if (fs::exists(cache_ / "snapshots" / FakeHub::commit / "config.json")) {
      EXPECT_TRUE(fs::exists(cache_ / "snapshots" / FakeHub::commit / "model.safetensors"));
    }
  }
  EXPECT_EQ(start()->wait(), 0);
  expect_whole();
}

TEST_F(Pull, AStopIsOneLineAndKeepsWhatCame) {
  hold_weights(70'000);
  const auto child = start();
  wait_for_incomplete(70'000);
  child->send(SIGINT);
  EXPECT_EQ(child->wait(), 1);
  EXPECT_THAT(child->err(), HasSubstr("stopped"));
  expect_nothing_looks_whole();
  wait_for_incomplete(70'000);
}

TEST_F(Pull, TheSecondTakesOverWhenTheFirstDies) {
  hold_weights(70'000);
  const auto first = start();
  wait_for_incomplete(70'000);
  const auto second = start();
  for (int i = 0; i < 5000 && second->err().find("waiting") == std::string::npos; ++i) {
    usleep(1000);
  }
  EXPECT_EQ(hub_.storage().requests().size(), 1U);
  first->send(SIGKILL);
  EXPECT_EQ(second->wait(), 0) << second->err();
  expect_whole();
  EXPECT_EQ(hub_.storage().requests().back().header("range"), "bytes=70000-");
}

TEST_F(Pull, CommandsTakeANameWhereTheyTakeAFolder) {
  testing::save_tiny_model(folder_ / "model");
  hub_.files.clear();
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    hub_.files[name] = {read_text(folder_ / "model" / name), name[0] == 'm'};
  }
  const auto inspect = start({"inspect", "--model", "org/name", "--json"});
  EXPECT_EQ(inspect->wait(), 0) << inspect->err();
  EXPECT_TRUE(hub_.storage().requests().empty());  // no weights for this
  for (const bool by_name : {true, false}) {
    const auto run = start({"run", by_name ? "org/name" : (folder_ / "model").string(), "--prompt",
                            "1+1", "--max-tokens", "4", "--json"});
    EXPECT_EQ(run->wait(), 0) << run->err();
    EXPECT_EQ(run->err(), "");
    EXPECT_GT(nlohmann::json::parse(run->out())["sampled_tokens"], 0);
  }
  EXPECT_EQ(hub_.storage().requests().size(), 1U);
}

}  // namespace
}  // namespace sambay
