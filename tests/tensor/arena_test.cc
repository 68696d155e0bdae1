#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace sambay {
namespace {

TEST(Arena, BlocksAreAlignedAndApart) {
  Arena arena;
  auto* a = static_cast<std::byte*>(arena.allocate(1));
  auto* b = static_cast<std::byte*>(arena.allocate(65));
  auto* c = static_cast<std::byte*>(arena.allocate(0));
  for (auto* block : {a, b, c}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0U);
  }
  EXPECT_EQ(b - a, 64);
  EXPECT_EQ(c - b, 128);
  EXPECT_EQ(arena.bytes_in_use(), 256U);
}

TEST(Arena, AReleasedBlockIsUsedAgain) {
  Arena arena;
  void* a = arena.allocate(1000);
  void* b = arena.allocate(1000);
  arena.release(a);
  EXPECT_EQ(arena.allocate(1000), a);
  arena.release(b);
  EXPECT_EQ(arena.peak_bytes(), 2048U);
}

TEST(Arena, TheTightestHoleIsTakenFirst) {
  Arena arena;
  void* wide = arena.allocate(4096);
  arena.allocate(64);
  void* tight = arena.allocate(1024);
  arena.allocate(64);
  arena.release(wide);
  arena.release(tight);
  EXPECT_EQ(arena.allocate(1000), tight);
  EXPECT_EQ(arena.allocate(1024), wide);
}

TEST(Arena, NeighboursMergeInEveryOrderOfRelease) {
  for (const auto& order : std::vector<std::vector<size_t>>{
           {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
    Arena arena;
    std::vector<void*> blocks;
    for (int i = 0; i < 3; ++i) {
      blocks.push_back(arena.allocate(1024));
    }
    arena.allocate(64);  // so that merging, not growing at the end, makes room
    for (const size_t i : order) {
      arena.release(blocks[i]);
    }
    EXPECT_EQ(arena.allocate(3072), blocks[0]);
    EXPECT_EQ(arena.peak_bytes(), 3U * 1024 + 64);
  }
}

TEST(Arena, TheLastHoleGrowsRatherThanStayBehind) {
  Arena arena;
  void* a = arena.allocate(1024);
  arena.release(a);
  EXPECT_EQ(arena.allocate(4096), a);
  EXPECT_EQ(arena.peak_bytes(), 4096U);
}

TEST(Arena, ThePeakCanBeginAnew) {
  Arena arena;
  void* a = arena.allocate(64);
  void* b = arena.allocate(4096);
  arena.release(b);
  EXPECT_EQ(arena.peak_bytes(), 4160U);
  arena.reset_peak();
  EXPECT_EQ(arena.peak_bytes(), 64U);
  arena.release(a);
  EXPECT_EQ(arena.bytes_in_use(), 0U);
}

// A random life of blocks: no two overlap, and a dry run has the same addresses and peak.
TEST(Arena, TheDryRunIsTheRealRun) {
  struct Block {
    std::byte *real, *dry;
    size_t bytes;
    int mark;
  };
  Arena real(Device::cpu), dry(Device::meta);
  Rng rng(11);
  std::vector<Block> blocks;
  std::byte* first_real = nullptr;
  std::byte* first_dry = nullptr;
  for (int step = 0; step < 4000; ++step) {
    if (blocks.size() < 40 && rng.below(5) < 3) {
      const auto bytes = static_cast<size_t>(1 + rng.below(5000));
      const Block block{static_cast<std::byte*>(real.allocate(bytes)),
                        static_cast<std::byte*>(dry.allocate(bytes)), bytes, step % 251};
      if (first_real == nullptr) {
        first_real = block.real;
        first_dry = block.dry;
      }
      EXPECT_EQ(block.real - first_real, block.dry - first_dry);
      std::memset(block.real, block.mark, bytes);
      blocks.push_back(block);
    } else if (!blocks.empty()) {
      const auto at = static_cast<ptrdiff_t>(rng.below(blocks.size()));
      const Block block = blocks[static_cast<size_t>(at)];
      for (size_t i = 0; i < block.bytes; ++i) {
        ASSERT_EQ(std::to_integer<int>(block.real[i]), block.mark);
      }
      real.release(block.real);
      dry.release(block.dry);
      blocks.erase(blocks.begin() + at);
    }
    EXPECT_EQ(real.bytes_in_use(), dry.bytes_in_use());
    EXPECT_EQ(real.peak_bytes(), dry.peak_bytes());
  }
}

TEST(Arena, MoreThanThereIsIsAnError) {
  Arena arena(Device::cpu, size_t{1} << 30);
  EXPECT_THROW(arena.allocate(size_t{2} << 30), Error);
  EXPECT_NE(arena.allocate(64), nullptr);
}

TEST(Arena, ThreadsShareIt) {
  Arena arena;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&arena, t] {
      for (int i = 0; i < 500; ++i) {
        void* block = arena.allocate(256);
        std::memset(block, t, 256);
        ASSERT_EQ(static_cast<unsigned char*>(block)[255], t);
        arena.release(block);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(arena.bytes_in_use(), 0U);
}

TEST(ArenaDeathTest, AForeignBlockIsABug) {
  Arena arena;
  auto* block = static_cast<std::byte*>(arena.allocate(128));
  EXPECT_DEATH(arena.release(block + 64), "belongs to its arena");
}

}  // namespace
}  // namespace sambay
