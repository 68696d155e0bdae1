// Any answer of the Hub gives an Error, or files that may be made below a folder and whose sizes
// add up.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "hub/listing.h"
#include "hub/names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  try {
    const auto listing = hub::parse_listing({reinterpret_cast<const char*>(data), size}, "fuzz");
    check(hub::is_commit(listing.commit), "a commit is 40 digits");
    int64_t total = 0;
    for (const hub::RemoteFile& file : listing.files) {
      check(hub::is_safe_path(file.name), "a name stays below its folder");
      check(file.size >= -1, "a size is known or not");
      check(file.digest.empty() || hub::is_hex(file.digest, file.digest.size()),
            "a digest may be a file's name");
      check(!__builtin_add_overflow(total, file.size, &total), "sizes add up");
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
