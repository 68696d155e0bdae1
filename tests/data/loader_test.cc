#include "data/loader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

// Document d of source s holds s * 10000 + d * 100 + position.
std::filesystem::path make_shard(const std::filesystem::path& file, int source, int documents) {
  ShardWriter writer;
  for (int d = 0; d < documents; ++d) {
    std::vector<int32_t> tokens;
    for (int t = 0; t < 3 + d % 5; ++t) {
      tokens.push_back(source * 10000 + d * 100 + t);
    }
    writer.add(tokens);
  }
  writer.write(file, "test");
  return file;
}

TEST(BatchLoader, TargetsAreTheNextTokenOfTheSameDocument) {
  const testing::TempDir dir;
  BatchLoader loader({{make_shard(dir / "a", 1, 20), 1.0}}, 2, 16, 5);
  for (int step = 0; step < 10; ++step) {
    const TokenBatch batch = loader.next();
    ASSERT_EQ(batch.ids.size(), 32U);
    ASSERT_EQ(batch.segments.rows(), 32);
    for (size_t t = 0; t < batch.ids.size(); ++t) {
      const int document = batch.ids[t] / 100 % 100, position = batch.ids[t] % 100;
      const bool last = position + 1 == 3 + document % 5;
      EXPECT_EQ(batch.targets[t], last ? -1 : batch.ids[t] + 1);
    }
    for (int s = 0; s < batch.segments.count(); ++s) {
      const auto begin = static_cast<size_t>(batch.segments.begin[static_cast<size_t>(s)]);
      for (size_t t = begin; t < begin + static_cast<size_t>(batch.segments.rows(s)); ++t) {
        EXPECT_EQ(batch.ids[t] / 100, batch.ids[begin] / 100) << "a segment is of one document";
      }
    }
  }
}

TEST(BatchLoader, AnEpochDealsOutEveryTokenOnceInAnotherOrderEachTime) {
  const testing::TempDir dir;
  BatchLoader loader({{make_shard(dir / "a", 1, 20), 1.0}}, 1, 10, 5);
  const int64_t per_epoch = loader.tokens() / 10;
  std::vector<std::vector<int32_t>> epochs;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::map<int32_t, int> seen;
    epochs.emplace_back();
    for (int64_t i = 0; i < per_epoch; ++i) {
      for (const int32_t id : loader.next().ids) {
        ++seen[id];
        epochs.back().push_back(id);
      }
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), loader.tokens());
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(BatchLoader, TokenSharesFollowTheWeights) {
  const testing::TempDir dir;
  BatchLoader loader({{make_shard(dir / "a", 1, 30), 3.0}, {make_shard(dir / "b", 2, 7), 1.0}}, 1,
                     50, 5);
  std::map<int, int> tokens;
  for (int i = 0; i < 40; ++i) {
    for (const int32_t id : loader.next().ids) {
      ++tokens[id / 10000];
    }
  }
  EXPECT_NEAR(tokens[1] / 2000.0, 0.75, 0.01);
}

TEST(BatchLoader, ContinuesFromASavedPosition) {
  const testing::TempDir dir;
  const std::vector<MixtureSource> sources = {{make_shard(dir / "a", 1, 30), 3.0},
                                              {make_shard(dir / "b", 2, 7), 1.0}};
  BatchLoader whole(sources, 2, 13, 5);
  for (int i = 0; i < 9; ++i) {
    whole.next();
  }
  BatchLoader resumed(sources, 2, 13, 5);
  resumed.restore(whole.position());
  for (int i = 0; i < 20; ++i) {
    const TokenBatch a = whole.next(), b = resumed.next();
    EXPECT_EQ(a.ids, b.ids);
    EXPECT_EQ(a.targets, b.targets);
    EXPECT_EQ(a.segments, b.segments);
  }
  BatchLoader other(sources, 2, 13, 6);
  EXPECT_THROW(other.restore(whole.position()), Error);
}

TEST(BatchLoader, WholeDocumentsAreNeverCut) {
  const testing::TempDir dir;
  BatchLoader loader({{make_shard(dir / "a", 1, 20), 1.0}}, 4, 16, 5, true);
  for (int i = 0; i < 20; ++i) {
    const TokenBatch batch = loader.next();
    for (int s = 0; s < batch.segments.count(); ++s) {
      const int32_t first =
          batch.ids[static_cast<size_t>(batch.segments.begin[static_cast<size_t>(s)])];
      EXPECT_EQ(first % 100, 0);
      EXPECT_EQ(batch.segments.rows(s), 3 + first / 100 % 100 % 5);
    }
  }
  EXPECT_THROW(BatchLoader({{dir / "a", 1.0}}, 4, 6, 5, true), Error);
}

TEST(Shard, LossCanStartLaterInADocument) {
  const testing::TempDir dir;
  ShardWriter writer;
  writer.add(std::vector<int32_t>{1, 2, 3, 4, 5}, 3);
  writer.write(dir / "s", "test");
  BatchLoader loader({{dir / "s", 1.0}}, 1, 5, 0);
  EXPECT_EQ(loader.next().targets, (std::vector<int32_t>{-1, -1, 4, 5, -1}));
}

TEST(Shard, EmptyDataIsAnError) {
  const testing::TempDir dir;
  EXPECT_THROW(ShardWriter().write(dir / "s", "test"), Error);
}

}  // namespace
}  // namespace sambay
