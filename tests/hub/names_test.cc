#include "hub/names.h"

#include <gtest/gtest.h>

namespace sambay::hub {
namespace {

TEST(HubNames, AModelHasAnOrganisationANameAndPerhapsARevision) {
  const auto plain = parse_model_name("org/Name-1.5_x");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repo(), "org/Name-1.5_x");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(plain->text(), "org/Name-1.5_x");
  const auto revised = parse_model_name("org/name@refs/pr/1");
  ASSERT_TRUE(revised);
  EXPECT_EQ(revised->repo(), "org/name");
  EXPECT_EQ(revised->revision, "refs/pr/1");
  EXPECT_EQ(revised->text(), "org/name@refs/pr/1");
}

TEST(HubNames, PathsAreNoModelNames) {
  for (const char* path :
       {"", "name", "/org/name", "./name", "../name", "org/", "a/b/c", "org/na me", "org/..",
        "org/a--b", "-org/name", "org/name@", "org/name@../x", "org/name@/x", "org/name.", "~/x"}) {
    EXPECT_FALSE(parse_model_name(path)) << path;
  }
  EXPECT_TRUE(parse_model_name("org/" + std::string(96, 'a')));
  EXPECT_FALSE(parse_model_name("org/" + std::string(97, 'a')));
}

TEST(HubNames, ASafePathStaysBelowItsFolder) {
  for (const char* path : {"a", "a/b.c", "..a/b..", "a b", "\xc3\xa9", ".hidden"}) {
    EXPECT_TRUE(is_safe_path(path)) << path;
  }
  for (const char* path : {"", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", "a//b", "a/",
                           "./a", "a\nb", "\x7f"}) {
    EXPECT_FALSE(is_safe_path(path)) << path;
  }
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_safe_path(std::string(255, 'a')));
  EXPECT_FALSE(is_safe_path(std::string(256, 'a')));
  std::string deep = "a";
  while (deep.size() < 1024) {
    deep += "/a";
  }
  EXPECT_FALSE(is_safe_path(deep));
}

TEST(HubNames, UrlsEncodeAllButPlainCharacters) {
  EXPECT_EQ(url_encoded("a b/c?d=#%\xc3\xa9", true), "a%20b/c%3Fd%3D%23%25%C3%A9");
  EXPECT_EQ(url_encoded("refs/pr/1", false), "refs%2Fpr%2F1");
}

}  // namespace
}  // namespace sambay::hub
