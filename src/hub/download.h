// One file from the Hub into the cache: resumed, verified, and only then named.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "hub/cache.h"
#include "hub/listing.h"
#include "hub/remote.h"

namespace sambay::hub {

// Of one file; read while it grows.
struct DownloadCount {
  std::atomic<int64_t> present{0};  // bytes that are here
  std::atomic<int64_t> fetched{0};  // bytes that came over the network
};

// Bytes of the file that are in the cache, whole or not.
int64_t bytes_present(const Cache& cache, const RemoteFile& file);

// Makes cache.blob(file.digest) a file of that size and digest. `file.is_known()`. Throws Error: a
// refusal, a size or digest that is not the one promised (then what came is removed), a full disk,
// a stop (then what came is kept).
void download(const Cache& cache, Remote& remote, const std::string& commit, const RemoteFile& file,
              DownloadCount& count);

}  // namespace sambay::hub
