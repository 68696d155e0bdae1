#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/log.h"
#include "hub/retries.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail(folder.string(), "cannot make this folder: {}", error.message());
  }
}

std::string without_newline(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) {
    text.pop_back();
  }
  return text;
}

// Every shard of an index is there.
bool holds_shards(const fs::path& index) {
  const auto json = parse_json(read_text(index), index.string());
  JsonFields fields(json, index.string());
  const auto& map = fields.raw("weight_map");
  return std::ranges::all_of(map, [&](const nlohmann::json& shard) {
    std::error_code ignored;
    return shard.is_string() && fs::exists(index.parent_path() / shard.get<std::string>(), ignored);
  });
}

}  // namespace

Cache::Cache(const fs::path& root, const ModelName& model)
    : folder_(root / fmt::format("models--{}--{}", model.org, model.name)),
      locks_(root / ".locks" / folder_.filename()) {}

fs::path Cache::blob(const std::string& digest) const {
  return folder_ / "blobs" / digest;
}

fs::path Cache::incomplete_blob(const std::string& digest) const {
  return folder_ / "blobs" / (digest + ".incomplete");
}

fs::path Cache::lock(const std::string& digest) const {
  return locks_ / (digest + ".lock");
}

fs::path Cache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

void Cache::make_folders() const {
  for (const char* name : {"blobs", "refs", "snapshots"}) {
    make_folder(folder_ / name);
  }
  make_folder(locks_);
}

void Cache::link(const std::string& commit, const std::string& name,
                 const std::string& digest) const {
  const fs::path path = snapshot(commit) / name;
  make_folder(path.parent_path());
  // Relative, so that the cache can be moved.
  const fs::path target = blob(digest).lexically_relative(path.parent_path());
  std::error_code error;
  if (fs::read_symlink(path, error) == target) {
    return;
  }
  static std::atomic<unsigned> count{0};
  const fs::path fresh = folder_ / fmt::format(".link-{}-{}", ::getpid(), count++);
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (!error) {
    fs::rename(fresh, path, error);
  }
  if (error) {
    const std::string message = error.message();
    fs::remove(fresh, error);
    fail(path.string(), "cannot make this link: {}", message);
  }
}

void Cache::set_commit(const std::string& revision, const std::string& commit) const {
  const fs::path ref = folder_ / "refs" / revision;
  make_folder(ref.parent_path());
  write_atomically(ref, commit);
}

std::optional<fs::path> Cache::find(const std::string& revision, Needs needs) const {
  std::string commit = revision;
  const fs::path ref = folder_ / "refs" / revision;
  std::error_code ignored;
  if (fs::is_regular_file(ref, ignored)) {
    commit = without_newline(read_text(ref));
  }
  if (!is_commit(commit) || !holds_model(snapshot(commit), needs)) {
    return std::nullopt;
  }
  return snapshot(commit);
}

bool holds_model(const fs::path& folder, Needs needs) {
  std::error_code ignored;
  if (!fs::exists(folder / "config.json", ignored)) {
    return false;
  }
  if (needs == Needs::config) {
    return true;
  }
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(index, ignored)) {
    return holds_shards(index);
  }
  return std::ranges::any_of(fs::directory_iterator(folder, ignored), [](const auto& entry) {
    std::error_code unreadable;
    return entry.path().extension() == ".safetensors" && entry.exists(unreadable);
  });
}

FileLock::FileLock(const fs::path& path, const std::function<bool()>& cancelled) {
  constexpr std::chrono::milliseconds pause{50};
  bool told = false;
  while (!try_lock(path)) {
    if (cancelled()) {
      fail_stopped(path.filename().string());
    }
    if (!told) {
      log().info("{}: another process is fetching this: waiting", path.filename().string());
      told = true;
    }
    std::this_thread::sleep_for(pause);
  }
}

FileLock::~FileLock() {
  ::close(fd_);
}

bool FileLock::try_lock(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  struct stat ours {
  }, named{};
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {
    // Other clients remove the file when they let go: then a lock on it excludes nobody.
    if (::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino) {
      fd_ = fd;
      return true;
    }
    ::close(fd);
    return false;
  }
  const int code = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  if (code != EWOULDBLOCK && code != EINTR) {
    fail(path.string(), "cannot lock: {}", std::generic_category().message(code));
  }
  return false;
}

}  // namespace sambay::hub
