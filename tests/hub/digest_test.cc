#include "hub/digest.h"

#include <gtest/gtest.h>

#include <string_view>

namespace sambay::hub {
namespace {

std::string digest_of(DigestKind kind, std::string_view text, size_t piece) {
  Digest digest(kind, std::ssize(text));
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    digest.update(std::as_bytes(std::span(text.substr(0, piece))));
  }
  return digest.finish();
}

TEST(HubDigest, IsThePublishedOneHoweverTheTextIsCut) {
  for (const size_t piece : {1UL, 2UL, 100UL}) {
    // FIPS 180-2, appendix B.1.
    EXPECT_EQ(digest_of(DigestKind::sha256, "abc", piece),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // What `git hash-object` says.
    EXPECT_EQ(digest_of(DigestKind::git_sha1, "hello\n", piece),
              "ce013625030ba8dba906f756967f9e9ca394464a");
  }
  EXPECT_EQ(digest_of(DigestKind::git_sha1, "", 1), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

}  // namespace
}  // namespace sambay::hub
