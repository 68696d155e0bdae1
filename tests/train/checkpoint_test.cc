#include "train/checkpoint.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/rng.h"
#include "support/fault.h"
#include "train/run_fixture.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;
using testing::fault;
using testing::RunFolder;

// A parameter whose every master element is the number of steps done: a torn file would show.
class Counter {
 public:
  explicit Counter(const Recipe& recipe, int64_t elements = 1000) {
    Param& param = store_.add("h.weight", {elements}, Role::hidden, Init::linear);
    param.weight.value = Tensor::zeros(param.shape, DType::f32, arena_);
    param.weight.gradient = Tensor::zeros(param.shape, DType::f32, arena_);
    optimizer_.emplace(store_, recipe, arena_);
  }
  void save(const fs::path& folder, int64_t step, int64_t keep = 2) {
    const Tensor master = optimizer_->masters()[0].tensor;
    std::fill_n(master.data<float>(), master.elements(), static_cast<float>(step));
    save_checkpoint(folder, {step, 10 * step, {{"at", step}}, {{"seed", 1}}}, *optimizer_, keep);
  }
  // The step that the newest checkpoint holds; 0 if there is none. Fails on a mixture.
  int64_t load(const fs::path& folder) {
    const auto found = latest_checkpoint(folder);
    if (!found) {
      return 0;
    }
    load_checkpoint(*found, *optimizer_);
    const Tensor master = optimizer_->masters()[0].tensor;
    for (int64_t i = 0; i < master.elements(); ++i) {
      EXPECT_EQ(master.data<float>()[i], static_cast<float>(found->state.step));
    }
    EXPECT_EQ(found->state.tokens, 10 * found->state.step);
    EXPECT_EQ(optimizer_->steps_done(), found->state.step);
    return found->state.step;
  }

 private:
  Arena arena_;
  ParamStore store_;
  std::optional<Optimizer> optimizer_;
};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(Checkpoint, KeepsTheNewestFew) {
  const RunFolder folder;
  Counter counter(folder.recipe());
  for (int64_t step = 1; step <= 4; ++step) {
    counter.save(folder / "c", step);
  }
  EXPECT_THAT(names_in(folder / "c"),
              ::testing::UnorderedElementsAre("step-000000000003", "step-000000000004"));
  EXPECT_EQ(counter.load(folder / "c"), 4);
}

TEST(Checkpoint, NoneIsFoundWhereNoneWasWritten) {
  const RunFolder folder;
  EXPECT_FALSE(latest_checkpoint(folder / "nowhere"));
}

TEST(Checkpoint, PassesOverWhatIsDamaged) {
  const RunFolder folder;
  Counter counter(folder.recipe());
  counter.save(folder / "c", 1);
  counter.save(folder / "c", 2);
  fs::resize_file(folder / "c/step-000000000002/optimizer.safetensors", 100);
  EXPECT_EQ(counter.load(folder / "c"), 1);
}

TEST(Checkpoint, NamesTheTensorOfAnotherModel) {
  const RunFolder folder;
  Counter(folder.recipe()).save(folder / "c", 1);
  Counter other(folder.recipe(), 999);
  EXPECT_THAT(
      fault([&] { other.load(folder / "c"); }),
      ::testing::HasSubstr("model.safetensors] h.weight: expected f32 (999), got f32 (1000)"));
}

// Runs body in a child process and returns its pid.
template <class Body>
pid_t in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  return child;
}

TEST(Checkpoint, AKillAtAnyInstantLosesNoCompletedOne) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe();
  Rng rng(5);
  int64_t newest = 0;
  for (int round = 0; round < 12; ++round) {
    // The child reports each checkpoint that is complete through a pipe.
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = in_child([&] {
      Counter counter(recipe, 20'000);
      for (int64_t step = newest + 1;; ++step) {
        counter.save(folder / "c", step);
        if (write(ends[1], &step, sizeof step) != sizeof step) {
          _exit(1);
        }
      }
    });
    close(ends[1]);
    // However busy the machine is, one is complete.
    int64_t reported = 0;
    ASSERT_EQ(read(ends[0], &reported, sizeof reported), ssize_t{sizeof reported});
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(40'000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(ends[0], &reported, sizeof reported) == sizeof reported) {
    }
    close(ends[0]);
    Counter counter(recipe, 20'000);
    newest = counter.load(folder / "c");
    EXPECT_GE(newest, reported);
    EXPECT_LE(newest, reported + 1);
  }
  EXPECT_GE(newest, 12);
}

TEST(Checkpoint, AFullDiskIsAnErrorAndLeavesTheOlderOnes) {
  const RunFolder folder;
  const Recipe recipe = folder.recipe();
  Counter counter(recipe);
  counter.save(folder / "c", 1);
  // A limit on file sizes fails writes midway, as a full disk does.
  const pid_t child = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4500, 4500};  // the masters fit, the moments do not
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      counter.save(folder / "c", 2, 1);
    } catch (const Error&) {
      _exit(7);
    }
  });
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_THAT(names_in(folder / "c"), ::testing::ElementsAre("step-000000000001"));
  EXPECT_EQ(counter.load(folder / "c"), 1);
}

}  // namespace
}  // namespace sambay
