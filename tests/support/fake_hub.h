// A Hub for one test, on two ports of 127.0.0.1: the Hub, and the storage of its large files.
#pragma once

#include <charconv>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "hub/digest.h"
#include "support/loopback_server.h"

namespace sambay::testing {

inline std::string digest_of(const std::string& content, hub::DigestKind kind) {
  hub::Digest digest(kind, std::ssize(content));
  digest.update(std::as_bytes(std::span(content)));
  return digest.finish();
}

// What is wrong in a models--ORG--NAME folder: files that look whole and are not, links to nowhere.
// "" if nothing is.
inline std::string faults_of_cache(const std::filesystem::path& folder) {
  std::string faults;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "blobs", none)) {
    const std::string name = entry.path().filename();
    const auto kind =
        name.size() == hub::sha256_digits ? hub::DigestKind::sha256 : hub::DigestKind::git_sha1;
    if (!name.ends_with(".incomplete") && digest_of(read_text(entry.path()), kind) != name) {
      faults += name + " has another hash; ";
    }
  }
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder / "snapshots", none)) {
    if (!entry.exists()) {
      faults += entry.path().string() + " leads nowhere; ";
    }
  }
  return faults;
}

// Bytes that compress badly and repeat nowhere.
inline std::string noise(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  for (char& c : bytes) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    c = static_cast<char>(seed >> 56);
  }
  return bytes;
}

struct HubFile {
  std::string content;
  bool large = false;  // has a SHA-256, and is kept in the storage

  std::string digest() const {
    return digest_of(content, large ? hub::DigestKind::sha256 : hub::DigestKind::git_sha1);
  }
};

class FakeHub {
 public:
  using Fault = std::function<void(Reply&)>;

  inline static const std::string commit = "0123456789abcdef0123456789abcdef01234567";

  // Set before the first request.
  std::map<std::string, HubFile> files;
  std::string token;         // whoever does not send it gets 401
  bool says_digests = true;  // in the list
  bool knows_ranges = true;
  std::function<void(nlohmann::json&)> change_listing;

  // The next answers about this file's content ("" for the list) are changed so, one after the
  // other.
  void disturb(const std::string& name, const Fault& fault, int times = 1) {
    const std::lock_guard lock(mutex_);
    faults_[name].insert(faults_[name].end(), static_cast<size_t>(times), fault);
  }

  const LoopbackServer& hub() const { return hub_; }
  const LoopbackServer& storage() const { return storage_; }
  std::string url() const { return hub_.url(); }

 private:
  Reply on_hub(const Request& request) {
    if (!token.empty() && request.header("authorization") != "Bearer " + token) {
      return {.status = 401, .headers = {{"X-Error-Message", "Invalid username or password."}}};
    }
    if (request.target == "/api/models/org/name/revision/main?blobs=true") {
      return disturbed("", {.body = listing().dump()});
    }
    const std::string resolve = "/org/name/resolve/" + commit + "/";
    if (!request.target.starts_with(resolve)) {
      return {.status = 404, .headers = {{"X-Error-Message", "Repository not found"}}};
    }
    const std::string name = request.target.substr(resolve.size());
    const auto file = files.find(name);
    if (file == files.end()) {
      return {.status = 404};
    }
    if (file->second.large) {
      return {.status = 302,
              .headers = {{"Location", storage_.url() + "/" + name + "?signed=1"},
                          {"X-Repo-Commit", commit},
                          {"X-Linked-Etag", "\"" + file->second.digest() + "\""},
                          {"X-Linked-Size", std::to_string(file->second.content.size())}}};
    }
    Reply reply = content(name, request);
    reply.headers.emplace_back("X-Repo-Commit", commit);
    reply.headers.emplace_back("ETag", "W/\"" + file->second.digest() + "\"");
    return reply;
  }

  Reply on_storage(const Request& request) {
    return content(request.target.substr(1, request.target.find('?') - 1), request);
  }

  Reply content(const std::string& name, const Request& request) {
    const std::string& whole = files.at(name).content;
    const std::string range = request.header("range");
    if (request.method == "HEAD" || range.empty() || !knows_ranges) {
      return request.method == "HEAD" ? Reply{.body = whole} : disturbed(name, {.body = whole});
    }
    size_t from = 0;
    std::from_chars(range.data() + std::string_view("bytes=").size(), range.data() + range.size(),
                    from);
    if (from >= whole.size()) {
      return {.status = 416};
    }
    return disturbed(
        name, {.status = 206,
               .headers = {{"Content-Range",
                            fmt::format("bytes {}-{}/{}", from, whole.size() - 1, whole.size())}},
               .body = whole.substr(from)});
  }

  Reply disturbed(const std::string& name, Reply reply) {
    const std::lock_guard lock(mutex_);
    auto& faults = faults_[name];
    if (!faults.empty()) {
      faults.front()(reply);
      faults.pop_front();
    }
    return reply;
  }

  nlohmann::json listing() const {
    nlohmann::json json = {{"id", "org/name"}, {"sha", commit}};
    json["siblings"] = nlohmann::json::array();
    for (const auto& [name, file] : files) {
      auto& sibling = json["siblings"].emplace_back(nlohmann::json{{"rfilename", name}});
      if (!says_digests) {
        continue;
      }
      sibling["size"] = file.content.size();
      sibling["blobId"] = std::string(40, 'b');
      if (file.large) {
        sibling["lfs"] = {
            {"sha256", file.digest()}, {"size", file.content.size()}, {"pointerSize", 130}};
      } else {
        sibling["blobId"] = file.digest();
      }
    }
    if (change_listing) {
      change_listing(json);
    }
    return json;
  }

  std::mutex mutex_;
  std::map<std::string, std::deque<Fault>> faults_;
  LoopbackServer storage_{[this](const Request& request) { return on_storage(request); }};
  LoopbackServer hub_{[this](const Request& request) { return on_hub(request); }};
};

}  // namespace sambay::testing
