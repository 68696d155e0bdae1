#include "hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <string_view>

#include "base/error.h"

namespace sambay::hub {

struct Digest::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() = default;
  ~Context() { EVP_MD_CTX_free(md); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

Digest::Digest(DigestKind kind, int64_t size) : context_(std::make_unique<Context>()) {
  const EVP_MD* md = kind == DigestKind::sha256 ? EVP_sha256() : EVP_sha1();
  check(EVP_DigestInit_ex(context_->md, md, nullptr) == 1, "SHA-1 and SHA-256 are there");
  if (kind == DigestKind::git_sha1) {
    const std::string header = fmt::format("blob {}", size);
    // With the zero at its end.
    update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));
  }
}

Digest::~Digest() = default;

void Digest::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) == 1, "a digest takes bytes");
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context_->md, bytes.data(), &size) == 1, "a digest ends");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += fmt::format("{:02x}", bytes[i]);
  }
  return hex;
}

}  // namespace sambay::hub
