#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/parallel_pieces.h"

namespace sambay {
namespace {

class Threads : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = num_threads();
    set_num_threads(GetParam());
  }
  void TearDown() override { set_num_threads(before_); }

 private:
  int before_ = 1;
};
INSTANTIATE_TEST_SUITE_P(Counts, Threads, ::testing::Values(1, 2, 5));

TEST_P(Threads, EveryTaskRunsOnceAndItsWritesAreSeen) {
  EXPECT_EQ(num_threads(), GetParam());
  for (const int64_t tasks : {0, 1, 2, 3, 100, 1001}) {
    std::vector<int> runs(static_cast<size_t>(tasks));  // not atomic: TSan sees a missing join
    parallel_for(tasks, [&](int64_t i) { runs[static_cast<size_t>(i)]++; });
    EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), int64_t{0}), tasks);
    EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), tasks);
  }
}

TEST_P(Threads, ManyShortForksFollowEachOther) {
  int64_t sum = 0;
  for (int round = 0; round < 500; ++round) {
    std::array<int64_t, 7> parts{};
    parallel_for(7, [&](int64_t i) { parts[static_cast<size_t>(i)] = i; });
    sum += std::accumulate(parts.begin(), parts.end(), int64_t{0});
  }
  EXPECT_EQ(sum, 500 * 21);
}

TEST_P(Threads, PiecesCoverTheCountOnceAndKnowTheEndOfTheirRange) {
  for (const int64_t count : {0, 1, 15, 16, 17, 1000}) {
    std::vector<int> seen(static_cast<size_t>(count));
    std::atomic<int> bad = 0;
    parallel_pieces(count, 16, [&](int64_t begin, int64_t end, int64_t range_end) {
      const bool whole = end % 16 == 0 || end == count;
      bad +=
          begin % 16 != 0 || !whole || begin >= end || end > range_end || range_end > count ? 1 : 0;
      for (int64_t i = begin; i < end; ++i) {
        seen[static_cast<size_t>(i)]++;
      }
    });
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), count);
  }
}

TEST_P(Threads, RangesCoverTheCountInGrains) {
  for (const int64_t count : {0, 1, 15, 16, 17, 1000}) {
    std::vector<int> seen(static_cast<size_t>(count));
    std::atomic<int> ranges{0};
    parallel_ranges(count, 16, [&](int64_t begin, int64_t end) {
      ++ranges;
      EXPECT_EQ(begin % 16, 0);
      EXPECT_TRUE(end % 16 == 0 || end == count);
      EXPECT_LT(begin, end);
      for (int64_t i = begin; i < end; ++i) {
        seen[static_cast<size_t>(i)]++;
      }
    });
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), count);
    EXPECT_LE(ranges, GetParam());
  }
}

TEST_P(Threads, NestedCallsRunSerially) {
  std::atomic<int> runs{0};
  parallel_for(4, [&](int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(8, [&](int64_t) {
      // With one outer thread the inner call is free to fork.
      EXPECT_TRUE(GetParam() == 1 || std::this_thread::get_id() == outer);
      ++runs;
    });
  });
  EXPECT_EQ(runs, 32);
}

TEST_P(Threads, TheFirstErrorIsThrownAgainAndThePoolLivesOn) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> runs{0};
    try {
      parallel_for(1'000'000, [&](int64_t i) {
        ++runs;
        if (i == 3) {
          fail("task", "{}", i);
        }
      });
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "[task] 3");
    }
    EXPECT_GE(runs, 4);
    if (GetParam() == 1) {  // other threads may be through before the error is seen
      EXPECT_EQ(runs, 4);
    }
    std::atomic<int> after{0};
    parallel_for(10, [&](int64_t) { ++after; });
    EXPECT_EQ(after, 10);
  }
}

TEST_P(Threads, CallersOnSeveralThreadsTakeTurns) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        parallel_for(5, [&](int64_t i) { sum += i; });
      }
    });
  }
  for (auto& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(sum, 3 * 100 * 10);
}

TEST(ThreadCount, MustBePositive) {
  EXPECT_THROW(set_num_threads(0), Error);
}

}  // namespace
}  // namespace sambay
