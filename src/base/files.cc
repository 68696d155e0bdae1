#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_errno(const fs::path& path, std::string_view action) {
  const int code = errno;
  fail(path.string(), "cannot {}: {}", action, std::generic_category().message(code));
}

// Closes on every way out.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int close() { return fd_ >= 0 ? ::close(std::exchange(fd_, -1)) : 0; }

 private:
  int fd_;
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

void write_through(int fd, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done < 0) {
      fail_errno(path, "write");
    }
    bytes = bytes.subspan(static_cast<size_t>(done));
  }
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    fail_errno(to, "replace");
  }
  const fs::path folder = to.has_parent_path() ? to.parent_path() : fs::path(".");
  const FileDescriptor fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  // Some file systems have no fsync for folders and say EINVAL.
  if (!fd.valid() || (::fsync(fd.get()) != 0 && errno != EINVAL)) {
    fail_errno(folder, "sync");
  }
}

// The new file beside the old one; removed unless it took the name.
class TemporaryFile final : public FileWriter {
 public:
  explicit TemporaryFile(fs::path target)
      : target_(std::move(target)), path_(name_beside(target_)), fd_(open_new(path_, target_)) {
    buffer_.reserve(buffer_bytes);
  }
  ~TemporaryFile() override {
    if (!renamed_) {
      ::unlink(path_.c_str());
    }
  }

  using FileWriter::write;
  void write(std::span<const std::byte> bytes) override {
    if (buffer_.size() + bytes.size() > buffer_bytes) {
      flush();
    }
    if (bytes.size() >= buffer_bytes) {
      write_through(fd_.get(), bytes, target_);
    } else {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }

  void take_the_name() {
    flush();
    if (::fsync(fd_.get()) != 0 || fd_.close() != 0) {
      fail_errno(target_, "write");
    }
    rename_durably(path_, target_);
    renamed_ = true;
  }

 private:
  static constexpr size_t buffer_bytes = size_t{1} << 20;

  static fs::path name_beside(const fs::path& target) {
    static std::atomic<unsigned> count{0};
    fs::path name = target;
    name += fmt::format(".{}-{}.tmp", ::getpid(), count.fetch_add(1));
    return name;
  }

  static int open_new(const fs::path& path, const fs::path& target) {
    const int fd = open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd < 0) {
      fail_errno(target, "create");
    }
    return fd;
  }

  void flush() {
    write_through(fd_.get(), buffer_, target_);
    buffer_.clear();
  }

  fs::path target_, path_;
  FileDescriptor fd_;
  std::vector<std::byte> buffer_;
  bool renamed_ = false;
};

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const FileDescriptor fd(open_retrying(path, O_RDONLY));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    fail_errno(path, "open");
  }
  if (!S_ISREG(status.st_mode)) {
    fail(path.string(), "expected a regular file");
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) {
    return;
  }
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) {
    fail_errno(path, "map");
  }
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);
  }
}

std::string read_text(const fs::path& path) {
  const FileDescriptor fd(open_retrying(path, O_RDONLY));
  if (!fd.valid()) {
    fail_errno(path, "open");
  }
  std::string text;
  std::array<char, 1 << 16> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      fail_errno(path, "read");
    }
    if (got == 0) {
      return text;
    }
    text.append(buffer.data(), static_cast<size_t>(got));
  }
}

void write_atomically(const fs::path& path, const std::function<void(FileWriter&)>& fill) {
  TemporaryFile file(path);
  fill(file);
  file.take_the_name();
}

void write_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  write_atomically(path, [&](FileWriter& file) { file.write(bytes); });
}

void write_atomically(const fs::path& path, std::string_view text) {
  write_atomically(path, std::as_bytes(std::span(text)));
}

GrowingFile::GrowingFile(fs::path path)
    : path_(std::move(path)), fd_(open_retrying(path_, O_WRONLY | O_CREAT | O_APPEND, 0666)) {
  struct stat status {};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
    fail_errno(path_, "open");
  }
  size_ = status.st_size;
}

GrowingFile::~GrowingFile() {
  ::close(fd_);
}

void GrowingFile::write(std::span<const std::byte> bytes) {
  write_through(fd_, bytes, path_);
  size_ += std::ssize(bytes);
}

void GrowingFile::clear() {
  if (::ftruncate(fd_, 0) != 0) {
    fail_errno(path_, "empty");
  }
  size_ = 0;
}

void GrowingFile::take_name(const fs::path& target) {
  if (::fsync(fd_) != 0) {
    fail_errno(path_, "write");
  }
  rename_durably(path_, target);
}

}  // namespace sambay
