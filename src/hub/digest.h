// The hashes that name a file on the Hub.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sambay::hub {

enum class DigestKind {
  sha256,    // of the content: large files (LFS)
  git_sha1,  // of "blob SIZE\0" and the content, as git names it: all others
};

inline constexpr size_t sha256_digits = 64, sha1_digits = 40;

// Fed piece by piece.
class Digest {
 public:
  // `size`: of the whole content in bytes; git's hash begins with it.
  Digest(DigestKind kind, int64_t size);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void update(std::span<const std::byte> bytes);
  // Lower-case hexadecimal. Called once, at the end.
  std::string finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace sambay::hub
