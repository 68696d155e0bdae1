#include "data/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>

#include "base/error.h"
#include "data/reasoning/dataset.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Documents : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  static std::vector<std::string> read(const std::filesystem::path& file,
                                       DocumentBorder border = DocumentBorder::file) {
    std::vector<std::string> out;
    for_each_document(file, border, [&](std::string_view text) { out.emplace_back(text); });
    return out;
  }
  static std::string error_of(const std::filesystem::path& file) {
    try {
      read(file);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  static std::string zstd(std::string_view text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
    return out;
  }

  sambay::testing::TempDir folder_;
};

TEST_F(Documents, ATextFileIsOneDocumentOrItsBlocks) {
  const auto file = write("a.txt", "\n\none\ntwo\n \t\n\nthree\r\n\r\nfour");
  EXPECT_THAT(read(file), ElementsAre("\n\none\ntwo\n \t\n\nthree\r\n\r\nfour"));
  EXPECT_THAT(read(file, DocumentBorder::blank_line), ElementsAre("one\ntwo", "three", "four"));
}

TEST_F(Documents, AreReadFromMemoryByTheNameOfTheirFile) {
  std::vector<std::string> out;
  for (const char* name : {"a.txt.zst", "a.jsonl.zst"}) {
    for_each_document(zstd("{\"text\": \"one\"}"), name, DocumentBorder::file,
                      [&](std::string_view text) { out.emplace_back(text); });
  }
  EXPECT_THAT(out, ElementsAre("{\"text\": \"one\"}", "one"));
}

TEST_F(Documents, JsonLinesHaveTheirTextField) {
  const auto file = write("a.jsonl",
                          "{\"text\": \"one\\n\\u20ac\", \"x\": 1}\n\n{\"text\": \"\"}\n"
                          "{\"text\": \"two\"}");
  EXPECT_THAT(read(file), ElementsAre("one\n€", "two"));
}

TEST_F(Documents, PackedFilesAreUnpacked) {
  std::string text;
  for (int i = 0; i < 100000; ++i) {
    text += std::to_string(i);
  }
  EXPECT_THAT(read(write("a.txt.zst", zstd(text))), ElementsAre(text));
  const auto file = folder_ / "a.txt.gz";
  for (const char* mode : {"wb", "ab"}) {  // two archives end to end
    const gzFile out = gzopen(file.c_str(), mode);
    gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
    gzclose(out);
  }
  EXPECT_THAT(read(file), ElementsAre(text + text));
}

TEST_F(Documents, FaultsAreNamed) {
  EXPECT_THAT(error_of(write("bad.txt", "a\nb\xff")), HasSubstr("bad.txt:2] not UTF-8"));
  EXPECT_THAT(error_of(write("bad.jsonl", "{\"text\": \"a\"}\n{\"body\": 1}")),
              HasSubstr("bad.jsonl:2] text: missing"));
  EXPECT_THAT(error_of(write("cut.jsonl", "{\"text")), HasSubstr("cut.jsonl:1"));
  EXPECT_THAT(error_of(write("empty.txt", "")), HasSubstr("no text"));
  EXPECT_THAT(error_of(write("a.pdf", "x")), HasSubstr("unknown kind"));
  EXPECT_THAT(error_of(folder_ / "none.txt"), HasSubstr("none.txt"));
  const std::string packed = zstd(std::string(1000, 'x') + "yz");
  EXPECT_THAT(error_of(write("cut.txt.zst", packed.substr(0, packed.size() - 3))),
              HasSubstr("truncated"));
  EXPECT_THAT(error_of(write("no.txt.zst", "plain text")), HasSubstr("not a zstd file"));
  EXPECT_THAT(error_of(write("no.txt.gz", "plain text")), HasSubstr("not a whole gzip file"));
  EXPECT_THAT(error_of(write("cut.txt.gz", "\x1f\x8b\x08")), HasSubstr("truncated"));
}

TEST(ReasoningDataset, DigitsAndOperatorsAreSingleTokens) {
  const Tokenizer tokenizer(train_reasoning_tokenizer(400, 200, 1));
  for (const char c : std::string("0123456789+-*/=<|:.,()")) {
    const std::string text = fmt::format("{0}{0}1{0}x{0}", c);
    const auto ids = tokenizer.encode(text, AddedTokens::as_text);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.id_of(std::string(1, c))),
              4 + (c == '1'))
        << text;
  }
}

TEST(ReasoningDataset, TheLossCountsFromTheChainOn) {
  const Tokenizer tokenizer(train_reasoning_tokenizer(400, 200, 1));
  const ChatFormat chat(tokenizer);
  const Problem problem = dataset_problem(ProblemSplit::train, 3, 7);
  const EncodedProblem encoded = encode(problem, chat);
  const std::span<const int32_t> ids = encoded.ids;
  const auto from = static_cast<size_t>(encoded.targets_from);
  EXPECT_EQ(tokenizer.decode(ids.first(from)),
            "<|user|>" + problem.question + "<|end|><|assistant|>");
  EXPECT_EQ(tokenizer.decode(ids.subspan(from)), problem.chain + "<|end|>");
}

TEST(ReasoningDataset, AProblemDependsOnSeedAndIndexAlone) {
  const Tokenizer tokenizer(train_reasoning_tokenizer(400, 200, 1));
  const sambay::testing::TempDir folder;
  ShardWriter writer;
  int64_t reported = 0;
  const auto statistics = add_problems(writer, ChatFormat(tokenizer), ProblemSplit::test, 9, 20,
                                       [&](int64_t done) { reported = done; });
  writer.write(folder / "a.safetensors", "x");
  const Shard shard = Shard::open(folder / "a.safetensors");
  ASSERT_EQ(shard.documents(), 20);
  const auto expected = encode(dataset_problem(ProblemSplit::test, 9, 13), ChatFormat(tokenizer));
  const auto document = shard.document(13);
  EXPECT_EQ(std::vector<int32_t>(document.begin(), document.end()), expected.ids);
  EXPECT_EQ(shard.targets_from(13), expected.targets_from);
  EXPECT_EQ(statistics.tokens, shard.tokens());
  EXPECT_EQ(reported, 20);
}

}  // namespace
}  // namespace sambay
