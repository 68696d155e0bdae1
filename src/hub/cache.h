// The Hub's cache of files: models--ORG--NAME/{blobs,refs,snapshots}, as its own client keeps it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "hub/names.h"

namespace sambay::hub {

// What a command needs of a model.
enum class Needs {
  config,  // config.json
  model,   // and its weights
};

class Cache {
 public:
  Cache(const std::filesystem::path& root, const ModelName& model);

  // Files by the hash of their content. Under this name a file is whole.
  std::filesystem::path blob(const std::string& digest) const;
  // What has arrived of it, from the first byte on.
  std::filesystem::path incomplete_blob(const std::string& digest) const;
  std::filesystem::path lock(const std::string& digest) const;
  // A folder of links to blobs.
  std::filesystem::path snapshot(const std::string& commit) const;
  const std::filesystem::path& folder() const { return folder_; }

  // Throws Error if a folder cannot be made.
  void make_folders() const;
  // Makes snapshot(commit)/name a link to the blob. Throws Error.
  void link(const std::string& commit, const std::string& name, const std::string& digest) const;
  // From here on the revision means this commit. Throws Error.
  void set_commit(const std::string& revision, const std::string& commit) const;

  // The snapshot of a revision, if it is there with all that is needed.
  std::optional<std::filesystem::path> find(const std::string& revision, Needs needs) const;

 private:
  std::filesystem::path folder_, locks_;
};

// Whether a folder holds config.json and, if they are needed, weights: every shard that
// model.safetensors.index.json names, or else any *.safetensors.
bool holds_model(const std::filesystem::path& folder, Needs needs);

// Held by one process, and one thread, at a time; the system lets go of it when a process dies.
class FileLock {
 public:
  // Waits for its turn. Throws Error if `cancelled` says so or the file cannot be locked.
  FileLock(const std::filesystem::path& path, const std::function<bool()>& cancelled);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  bool try_lock(const std::filesystem::path& path);

  int fd_ = -1;
};

}  // namespace sambay::hub
