// Files as a whole: mapped for reading, replaced in one step for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sambay {

// A file mapped read-only. Held by std::shared_ptr where tensors borrow its bytes.
class MappedFile {
 public:
  // Throws Error if the path is not a readable regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole content of a file or pipe. Throws Error if it cannot be read.
std::string read_text(const std::filesystem::path& path);

// What write_atomically's callback writes to. Buffered.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  // Throws Error naming the file and the cause (no space left, file too large...).
  virtual void write(std::span<const std::byte> bytes) = 0;
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
};

// Replaces `path` by what `fill` writes, or leaves it as it was: the bytes go to a new file in the
// same folder and reach the disk before it takes the name. Nothing is left behind when `fill`
// throws or the disk is full. Throws Error.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(FileWriter&)>& fill);
void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_atomically(const std::filesystem::path& path, std::string_view text);

// A file that grows at its end, over several runs of the program if need be, and takes its real
// name when it is whole. Until then `path` holds what was written, also when the process is killed.
// Every call throws Error.
class GrowingFile final : public FileWriter {
 public:
  // Opens `path` at its end; makes it if it is not there.
  explicit GrowingFile(std::filesystem::path path);
  ~GrowingFile() override;
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t size() const { return size_; }
  using FileWriter::write;
  void write(std::span<const std::byte> bytes) override;  // at the end, unbuffered
  void clear();
  // The content reaches the disk before `target`, in the same folder, names it. Nothing is written
  // after this.
  void take_name(const std::filesystem::path& target);

 private:
  std::filesystem::path path_;
  int fd_;
  int64_t size_ = 0;
};

}  // namespace sambay
