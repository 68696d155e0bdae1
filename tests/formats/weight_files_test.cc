#include "formats/weight_files.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* shard_1 = "model-00001-of-00002.safetensors";
constexpr const char* shard_2 = "model-00002-of-00002.safetensors";

TensorSource source(const std::string& name, int64_t elements, float value) {
  return {name, DType::f32, {elements}, [elements, value](FileWriter& file) {
            const std::vector<float> values(static_cast<size_t>(elements), value);
            file.write(std::as_bytes(std::span(values)));
          }};
}

// a and b in the first shard, c in the second.
void write_two_shards(const fs::path& folder) {
  const std::vector<TensorSource> tensors = {source("a", 4, 1), source("b", 2, 2),
                                             source("c", 8, 3)};
  EXPECT_EQ(write_weights(folder, tensors, {{"format", "pt"}}, 32), 2U);
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

void write_index(const fs::path& folder, const nlohmann::json& weight_map) {
  write_text(folder / weights_index_file, nlohmann::json{{"weight_map", weight_map}}.dump());
}

std::string fault(const fs::path& folder) {
  return testing::fault([&] { WeightFiles::open(folder); });
}

TEST(WeightFiles, AreOneFileOrShards) {
  const testing::TempDir scratch;
  for (const uint64_t limit : {0, 1, 24, 32, 56}) {
    const fs::path folder = scratch / std::to_string(limit);
    fs::create_directory(folder);
    const std::vector<TensorSource> tensors = {source("a", 4, 1), source("b", 2, 2),
                                               source("c", 8, 3)};
    const size_t files = write_weights(folder, tensors, {}, limit);
    EXPECT_EQ(files, limit == 1 ? 3U : limit == 24 || limit == 32 ? 2U : 1U) << limit;
    EXPECT_EQ(fs::exists(folder / weights_index_file), files > 1);
    const auto read = WeightFiles::open(folder);
    EXPECT_THAT(read.names(), ElementsAre("a", "b", "c"));
    EXPECT_EQ(read.view("b").data<float>()[1], 2.0F);
    EXPECT_EQ(read.view("c").shape(), Shape({8}));
    EXPECT_EQ(read.view("c").data<float>()[7], 3.0F);
  }
}

TEST(WeightFiles, IndexSaysTotalSizeAndFormatIsInEachShard) {
  const testing::TempDir folder;
  write_two_shards(folder.path());
  std::ifstream file(folder / weights_index_file);
  EXPECT_EQ(nlohmann::json::parse(file)["metadata"]["total_size"], 56);
  EXPECT_EQ(Safetensors::open(folder / shard_2).metadata().at("format"), "pt");
}

TEST(WeightFiles, AreViewedWhereTheyAreMappedHoweverTheyAreAligned) {
  const testing::TempDir folder;
  const auto file_with = [&](size_t blanks) {
    std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    header += std::string(blanks, ' ');
    const uint64_t length = header.size();
    const std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    const float values[] = {1.5F, -2};
    write_text(folder / weights_file,
               bytes + header + std::string(reinterpret_cast<const char*>(values), sizeof values));
    return header.size();
  };
  for (size_t blanks = 0; blanks < 8; ++blanks) {
    const size_t header = file_with(blanks);
    const Tensor a = WeightFiles::open(folder.path()).view("a");
    EXPECT_EQ(a.data<float>()[0], 1.5F);
    EXPECT_EQ(a.data<float>()[1], -2.0F);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.raw()) % 4, 0U);
    // A mapping begins a page, so its data stands where the header's length puts it.
    if (header % 4 == 0 && header % 64 != 56) {
      EXPECT_NE(reinterpret_cast<uintptr_t>(a.raw()) % 64, 0U);
    }
  }
}

TEST(WeightFiles, NameTheTensorWhereIndexAndShardsDisagree) {
  const testing::TempDir scratch;
  const fs::path folder = scratch.path();
  write_two_shards(folder);
  EXPECT_EQ(fault(folder), "");
  write_index(folder, {{"a", shard_1}, {"b", shard_1}, {"c", "model-00009-of-00002.safetensors"}});
  EXPECT_THAT(fault(folder), HasSubstr("c: in model-00009-of-00002.safetensors, which does not"));
  write_index(folder, {{"a", shard_1}, {"b", shard_2}, {"c", shard_2}});
  EXPECT_THAT(fault(folder), HasSubstr(std::string("b: in ") + shard_2 + ", but " + shard_1));
  write_index(folder, {{"a", shard_1}, {"c", shard_2}});
  EXPECT_THAT(fault(folder), HasSubstr(std::string(shard_1) + "] b: is not in"));
  write_index(folder, {{"a", shard_1}, {"b", shard_1}, {"c", shard_2}, {"d", shard_2}});
  EXPECT_THAT(fault(folder), HasSubstr(std::string(shard_2) + "] d: no such tensor"));
}

TEST(WeightFiles, RefuseAnIndexThatIsNone) {
  const testing::TempDir scratch;
  const fs::path folder = scratch.path(), file = folder / weights_index_file;
  write_two_shards(folder);
  const auto with = [&](const std::string& text) {
    write_text(file, text);
    const std::string message = fault(folder);
    EXPECT_THAT(message, HasSubstr(weights_index_file)) << text;
    return message;
  };
  EXPECT_THAT(with("{"), HasSubstr("not JSON"));
  EXPECT_THAT(with("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(with("{}"), HasSubstr("weight_map: missing"));
  EXPECT_THAT(with(R"({"weight_map": 3})"), HasSubstr("expected an object"));
  EXPECT_THAT(with(R"({"weight_map": {"a": 3}})"), HasSubstr("a: 3 has the wrong type"));
  EXPECT_THAT(with(std::string(1'000'000, '[')), HasSubstr("nested"));
  EXPECT_THAT(with(R"({"weight_map": {"a": )" + std::string(500'000, '[')), HasSubstr("nested"));
  for (const char* name : {"", "..", "../x", "/etc/passwd", ".hidden", "sub/x", "x\\u0000y"}) {
    EXPECT_THAT(with(std::string(R"({"weight_map": {"a": ")") + name + "\"}}"),
                HasSubstr("is not the name of a file"))
        << name;
  }
  fs::remove(file);
  EXPECT_THAT(fault(folder), HasSubstr("model.safetensors] cannot open"));
}

TEST(WeightFiles, RefuseShardsThatAreCutOrFolders) {
  const testing::TempDir scratch;
  const fs::path folder = scratch.path();
  write_two_shards(folder);
  const auto size = fs::file_size(folder / shard_2);
  for (const uintmax_t left : {size - 1, size / 2, uintmax_t{9}, uintmax_t{0}}) {
    fs::resize_file(folder / shard_2, left);
    EXPECT_THAT(fault(folder), HasSubstr(shard_2)) << left;
  }
  fs::remove(folder / shard_2);
  fs::create_directory(folder / shard_2);
  EXPECT_THAT(fault(folder), HasSubstr(shard_2));
}

}  // namespace
}  // namespace sambay
