// What the Hub says a repository holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sambay::hub {

struct RemoteFile {
  std::string name;         // path within the repository; is_safe_path
  int64_t size = -1;        // bytes; -1: not said
  std::string digest = {};  // SHA-256 in 64 digits, or git's SHA-1 in 40; "": not said

  bool is_known() const { return size >= 0 && !digest.empty(); }
};

struct Listing {
  std::string commit;
  std::vector<RemoteFile> files = {};  // in the order of their names, each name once
};

// Bounds that no repository reaches, so that sums of sizes fit an int64_t.
inline constexpr int64_t max_file_bytes = int64_t{1} << 44;
inline constexpr size_t max_files = size_t{1} << 16;

// The answer to GET /api/models/REPO/revision/REVISION?blobs=true. Fields that it does not need may
// be there or not. Throws Error naming `where` and the field; a name that is no safe path or that
// comes twice is refused.
Listing parse_listing(std::string_view json, const std::string& where);

}  // namespace sambay::hub
