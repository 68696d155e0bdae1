#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <optional>
#include <string>

#include "base/rng.h"

namespace sambay {
namespace {

std::vector<int32_t> bytes_as_ids() {
  std::vector<int32_t> ids(256);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// The definition: merge the pair of lowest rank, leftmost first, as long as there is one.
std::vector<int32_t> by_definition(const std::vector<Merge>& merges, std::string_view word) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    ranks[{merges[rank].left, merges[rank].right}] = rank;
  }
  std::vector<int32_t> ids;
  for (const char c : word) {
    ids.push_back(static_cast<unsigned char>(c));
  }
  for (;;) {
    std::optional<std::pair<size_t, size_t>> best;  // (rank, place)
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found != ranks.end() && (!best || std::pair(found->second, i) < *best)) {
        best = {found->second, i};
      }
    }
    if (!best) {
      return ids;
    }
    ids[best->second] = merges[best->first].merged;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best->second) + 1);
  }
}

// Random merges over three letters, so that they interact; a merged token may be made in two ways.
std::vector<Merge> random_merges(Rng& rng, int count) {
  std::map<std::string, int32_t> id_of = {{"a", 'a'}, {"b", 'b'}, {"c", 'c'}};
  std::vector<std::string> names = {"a", "b", "c"};
  std::vector<Merge> merges;
  for (int i = 0; i < count; ++i) {
    const std::string left = names[rng.below(names.size())], right = names[rng.below(names.size())];
    const auto [made, fresh] = id_of.emplace(left + right, static_cast<int32_t>(256 + i));
    if (fresh) {
      names.push_back(left + right);
    }
    merges.push_back({id_of[left], id_of[right], made->second});
  }
  return merges;
}

TEST(Bpe, EqualsTheDefinitionOnWordsOfEveryLength) {
  Rng rng(5);
  for (int round = 0; round < 60; ++round) {
    const auto merges = random_merges(rng, 1 + static_cast<int>(rng.below(40)));
    const BpeMerges bpe(merges, bytes_as_ids());
    for (size_t length = 0; length < 130; length += length < 55 ? 1 : 13) {
      std::string word;
      for (size_t i = 0; i < length; ++i) {
        word += static_cast<char>('a' + rng.below(3));
      }
      std::vector<int32_t> ids = {-7};  // what is there stays
      bpe.apply(word, ids);
      ASSERT_EQ(ids[0], -7);
      ids.erase(ids.begin());
      ASSERT_EQ(ids, by_definition(merges, word)) << word;
    }
  }
}

TEST(Bpe, EqualsTheDefinitionAcrossWindows) {
  Rng rng(6);
  for (int round = 0; round < 12; ++round) {
    const auto merges = random_merges(rng, 10 + static_cast<int>(rng.below(200)));
    std::string word;
    for (uint64_t i = 500 + rng.below(1500); i > 0; --i) {
      word += static_cast<char>('a' + rng.below(3));
    }
    std::vector<int32_t> ids;
    BpeMerges(merges, bytes_as_ids()).apply(word, ids);
    ASSERT_EQ(ids, by_definition(merges, word)) << word;
  }
}

// Of ascending bytes the last two merge first: where such a run ends decides over all of it, beyond
// what is left to the next window.
TEST(Bpe, AWindowThatBelievedTooMuchIsMergedAgain) {
  std::vector<Merge> merges;
  for (int byte = 254; byte >= 0; --byte) {
    merges.push_back({byte, byte + 1, 256 + byte});
  }
  const BpeMerges bpe(merges, bytes_as_ids());
  Rng rng(7);
  for (int round = 0; round < 12; ++round) {
    std::string word;
    while (word.size() < 3000) {
      const auto end = round == 0 ? 256 : 1 + rng.below(256);
      for (uint64_t byte = round == 0 ? 0 : rng.below(20); byte < end; ++byte) {
        word += static_cast<char>(byte);
      }
    }
    std::vector<int32_t> ids;
    bpe.apply(word, ids);
    ASSERT_EQ(ids, by_definition(merges, word)) << round;
  }
}

TEST(Bpe, ALongWordTakesNoQuadraticTime) {
  const std::vector<Merge> merges = {{'a', 'a', 256}, {256, 256, 257}, {257, 257, 258}};
  std::vector<int32_t> ids;
  BpeMerges(merges, bytes_as_ids()).apply(std::string(1'000'000, 'a'), ids);
  EXPECT_EQ(ids, std::vector<int32_t>(125'000, 258));
}

// Merges that undo the order of one another: each makes an earlier one possible.
TEST(Bpe, MergesThatMakeEarlierOnesPossibleTakeNoQuadraticTimeEither) {
  // (ab, ab) comes before (a, b).
  const std::vector<Merge> merges = {{256, 256, 257}, {257, 257, 258}, {'a', 'b', 256}};
  std::string word;
  for (int i = 0; i < 400'000; ++i) {
    word += "ab";
  }
  std::vector<int32_t> ids;
  BpeMerges(merges, bytes_as_ids()).apply(word, ids);
  EXPECT_EQ(ids, std::vector<int32_t>(100'000, 258));
  EXPECT_EQ(by_definition(merges, word.substr(0, 200)), std::vector<int32_t>(25, 258));
}

TEST(Bpe, WithoutMergesBytesStayBytes) {
  std::vector<int32_t> ids;
  BpeMerges({}, bytes_as_ids()).apply("a\xff", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{'a', 0xff}));
}

}  // namespace
}  // namespace sambay
