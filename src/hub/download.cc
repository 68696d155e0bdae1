#include "hub/download.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "hub/digest.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;

// -1: there is none.
int64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? -1 : static_cast<int64_t>(size);
}

// The incomplete file, and the digest of what is in it.
class Incoming {
 public:
  Incoming(const fs::path& path, const RemoteFile& file, DownloadCount& count)
      : file_(&file), count_(&count), partial_(path) {
    begin_digest();
    if (partial_.size() > file.size) {
      clear();
    }
  }

  int64_t size() const { return partial_.size(); }
  bool whole() const { return size() == file_->size; }

  // What an earlier run left becomes part of the digest. False: cancelled.
  bool read_what_is_there(const Remote& remote) {
    constexpr size_t piece = size_t{4} << 20;
    const MappedFile mapped(partial_.path());
    for (auto rest = mapped.bytes(); !rest.empty();) {
      if (remote.cancelled()) {
        return false;
      }
      const auto bytes = rest.first(std::min(piece, rest.size()));
      digest_->update(bytes);
      rest = rest.subspan(bytes.size());
    }
    return true;
  }

  void add(int64_t offset, std::span<const std::byte> bytes) {
    if (offset == 0 && size() > 0) {
      clear();  // a server that knows no ranges begins again
    }
    if (offset != size()) {
      fail(file_->name, "the server sent bytes from {} on where those from {} on were asked for",
           offset, size());
    }
    if (std::ssize(bytes) > file_->size - size()) {
      discard();
      fail(file_->name, "more came than its {} bytes: removed", file_->size);
    }
    partial_.write(bytes);
    digest_->update(bytes);
    count_->present = size();
    count_->fetched += std::ssize(bytes);
  }

  void clear() {
    partial_.clear();
    begin_digest();
  }
  void discard() {
    clear();
    std::error_code ignored;
    fs::remove(partial_.path(), ignored);
  }

  std::string finish_digest() { return digest_->finish(); }
  void take_name(const fs::path& name) { partial_.take_name(name); }

 private:
  void begin_digest() {
    digest_.emplace(
        file_->digest.size() == sha256_digits ? DigestKind::sha256 : DigestKind::git_sha1,
        file_->size);
    count_->present = size();
  }

  const RemoteFile* file_;
  DownloadCount* count_;
  GrowingFile partial_;
  std::optional<Digest> digest_;
};

void fetch_rest(Remote& remote, const std::string& commit, const RemoteFile& file,
                Incoming& incoming) {
  constexpr int range_not_satisfiable = 416;
  Retries retries = remote.retries(file.name);
  int64_t furthest = incoming.size();
  while (!incoming.whole()) {
    const int64_t from = incoming.size();
    HttpAnswer answer = remote.get(
        file, commit, from,
        [&](int64_t offset, std::span<const std::byte> bytes) { incoming.add(offset, bytes); });
    if (incoming.whole()) {
      return;
    }
    if (answer.status == range_not_satisfiable && from > 0) {
      incoming.discard();
      fail(file.name, "the server's file ends before its {} bytes: removed", file.size);
    }
    if (answer.ok()) {
      answer.fault = fmt::format("ended after {} of {} bytes", incoming.size(), file.size);
    }
    if (incoming.size() > furthest) {
      furthest = incoming.size();
      retries.progressed();
    }
    retries.wait(answer, remote.client());
  }
}

}  // namespace

int64_t bytes_present(const Cache& cache, const RemoteFile& file) {
  if (size_of(cache.blob(file.digest)) == file.size) {
    return file.size;
  }
  const int64_t begun = size_of(cache.incomplete_blob(file.digest));
  return begun <= file.size ? std::max<int64_t>(begun, 0) : 0;
}

void download(const Cache& cache, Remote& remote, const std::string& commit, const RemoteFile& file,
              DownloadCount& count) {
  const auto is_there = [&] {
    count.present = bytes_present(cache, file);
    return size_of(cache.blob(file.digest)) == file.size;
  };
  const fs::path incomplete = cache.incomplete_blob(file.digest);
  std::error_code ignored;
  if (is_there() && !fs::exists(incomplete, ignored)) {
    return;
  }
  const FileLock lock(cache.lock(file.digest), [&] { return remote.cancelled(); });
  if (is_there()) {
    fs::remove(incomplete, ignored);  // another client has been faster
    return;
  }
  Incoming incoming(incomplete, file, count);
  if (!incoming.read_what_is_there(remote)) {
    fail_stopped(file.name);
  }
  for (bool resumed = incoming.size() > 0;; resumed = false) {
    fetch_rest(remote, commit, file, incoming);
    const std::string digest = incoming.finish_digest();
    if (digest == file.digest) {
      incoming.take_name(cache.blob(file.digest));
      return;
    }
    if (!resumed) {
      incoming.discard();
      fail(file.name, "what came has the hash {}, expected {}: removed", digest, file.digest);
    }
    incoming.clear();  // what an earlier run left may be to blame
  }
}

}  // namespace sambay::hub
