#include "base/files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"
#include "support/file_size_limit.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

int64_t files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Files, WhatIsWrittenIsReadBack) {
  const testing::TempDir dir;
  const fs::path path = dir / "a.txt";
  write_atomically(path, std::string_view("first"));
  EXPECT_EQ(read_text(path), "first");
  write_atomically(path, std::string_view("second, longer"));
  EXPECT_EQ(read_text(path), "second, longer");
  const MappedFile mapped(path);
  EXPECT_EQ(mapped.size(), 14U);
  EXPECT_EQ(mapped.text(), "second, longer");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(Files, ChunksOfAnySizeArriveInOrder) {
  const testing::TempDir dir;
  std::string expected;
  write_atomically(dir / "chunks", [&](FileWriter& file) {
    for (const size_t bytes : {1UL, 700'000UL, 0UL, 700'000UL, 3'000'000UL, 5UL}) {
      const std::string chunk(bytes, static_cast<char>('a' + expected.size() % 26));
      file.write(chunk);
      expected += chunk;
    }
  });
  EXPECT_EQ(read_text(dir / "chunks"), expected);
}

TEST(Files, AnEmptyFileMapsToNothing) {
  const testing::TempDir dir;
  write_atomically(dir / "empty", std::string_view());
  EXPECT_EQ(MappedFile(dir / "empty").size(), 0U);
  EXPECT_EQ(read_text(dir / "empty"), "");
}

TEST(Files, AMissingFileIsNamed) {
  const testing::TempDir dir;
  const fs::path path = dir / "missing";
  for (const auto& action : {std::function<void()>([&] { MappedFile file(path); }),
                             std::function<void()>([&] { read_text(path); })}) {
    EXPECT_EQ(message_of(action),
              fmt::format("[{}] cannot open: No such file or directory", path.string()));
  }
  EXPECT_THAT(message_of([&] { MappedFile file(dir.path()); }), HasSubstr("regular file"));
  EXPECT_THAT(message_of([&] { read_text(dir.path()); }), HasSubstr("Is a directory"));
}

TEST(Files, AFailingCallbackLeavesTheOldFileAlone) {
  const testing::TempDir dir;
  write_atomically(dir / "a", std::string_view("old"));
  EXPECT_THROW(write_atomically(dir / "a",
                                [](FileWriter& file) {
                                  file.write("new");
                                  fail("test", "stop");
                                }),
               Error);
  EXPECT_EQ(read_text(dir / "a"), "old");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(Files, AFullDiskLeavesTheOldFileAlone) {
  const testing::TempDir dir;
  const fs::path path = dir / "a";
  write_atomically(path, std::string_view("old"));
  std::string message;
  {
    const testing::FileSizeLimit limit(1 << 16);
    message = message_of([&] { write_atomically(path, std::string(1 << 20, 'x')); });
  }
  EXPECT_EQ(message, fmt::format("[{}] cannot write: File too large", path.string()));
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(Files, AGrowingFileIsTakenUpAndTakesItsNameWhenWhole) {
  const testing::TempDir dir;
  {
    GrowingFile file(dir / "a.part");
    EXPECT_EQ(file.size(), 0);
    file.write("one ");
    EXPECT_EQ(read_text(dir / "a.part"), "one ");
  }
  GrowingFile file(dir / "a.part");
  EXPECT_EQ(file.size(), 4);
  file.write("two");
  EXPECT_EQ(file.size(), 7);
  file.take_name(dir / "a");
  EXPECT_EQ(read_text(dir / "a"), "one two");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(Files, AGrowingFileCanBeginAgain) {
  const testing::TempDir dir;
  GrowingFile file(dir / "a");
  file.write("wrong");
  file.clear();
  file.write("right");
  EXPECT_EQ(read_text(dir / "a"), "right");
}

TEST(Files, AFullDiskKeepsWhatAGrowingFileHas) {
  const testing::TempDir dir;
  GrowingFile file(dir / "a");
  std::string message;
  {
    const testing::FileSizeLimit limit(1 << 16);
    message = message_of([&] { file.write(std::string(1 << 20, 'x')); });
  }
  EXPECT_THAT(message, HasSubstr("cannot write: File too large"));
  EXPECT_EQ(fs::file_size(dir / "a"), 1U << 16);
}

TEST(Files, AnUnusableTargetIsNamedAndNothingIsLeft) {
  const testing::TempDir dir;
  EXPECT_THAT(message_of([&] { write_atomically(dir / "no" / "a", std::string_view("x")); }),
              HasSubstr("cannot create: No such file or directory"));
  fs::create_directory(dir / "folder");
  EXPECT_THAT(message_of([&] { write_atomically(dir / "folder", std::string_view("x")); }),
              HasSubstr("cannot replace: Is a directory"));
  EXPECT_EQ(files_in(dir.path()), 1);
}

}  // namespace
}  // namespace sambay
