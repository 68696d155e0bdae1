#include "hub/listing.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "support/fault.h"

namespace sambay::hub {
namespace {

using ::testing::HasSubstr;

constexpr const char* commit = "0123456789abcdef0123456789abcdef01234567";

nlohmann::json good() {
  return {{"sha", commit},
          {"private", false},
          {"siblings",
           {{{"rfilename", "model.safetensors"},
             {"size", 5},
             {"blobId", std::string(40, 'a')},
             {"lfs", {{"sha256", std::string(64, 'c')}, {"size", 5}, {"pointerSize", 130}}}},
            {{"rfilename", "config.json"}, {"size", 7}, {"blobId", std::string(40, 'a')}},
            {{"rfilename", "a/b"}}}}};
}

std::string message(const nlohmann::json& json) {
  return testing::fault([&] { parse_listing(json.dump(), "org/name"); });
}

TEST(HubListing, LargeFilesAreKnownByTheirSha256AndOthersByGits) {
  const Listing listing = parse_listing(good().dump(), "org/name");
  EXPECT_EQ(listing.commit, commit);
  ASSERT_EQ(listing.files.size(), 3U);
  EXPECT_EQ(listing.files[0].name, "a/b");
  EXPECT_FALSE(listing.files[0].is_known());
  EXPECT_EQ(listing.files[1].name, "config.json");
  EXPECT_EQ(listing.files[1].size, 7);
  EXPECT_EQ(listing.files[1].digest, std::string(40, 'a'));
  EXPECT_EQ(listing.files[2].size, 5);
  EXPECT_EQ(listing.files[2].digest, std::string(64, 'c'));
  EXPECT_TRUE(listing.files[2].is_known());
}

TEST(HubListing, HostileAnswersAreRefusedByName) {
  const auto with = [](const char* pointer, const nlohmann::json& value) {
    auto json = good();
    json[nlohmann::json::json_pointer(pointer)] = value;
    return message(json);
  };
  EXPECT_THAT(with("/sha", "../../etc"), HasSubstr("sha"));
  EXPECT_THAT(with("/sha", nullptr), HasSubstr("sha"));
  EXPECT_THAT(with("/siblings", "x"), HasSubstr("siblings"));
  EXPECT_THAT(with("/siblings/1/rfilename", "../config.json"), HasSubstr("../config.json"));
  EXPECT_THAT(with("/siblings/1/rfilename", "/etc/passwd"), HasSubstr("refused"));
  EXPECT_THAT(with("/siblings/1/rfilename", std::string(300, 'x')), HasSubstr("refused"));
  EXPECT_THAT(with("/siblings/1/rfilename", "a/b"), HasSubstr("twice"));
  EXPECT_THAT(with("/siblings/1/size", -1), HasSubstr("config.json] size"));
  EXPECT_THAT(with("/siblings/1/size", 1e30), HasSubstr("size"));
  EXPECT_THAT(with("/siblings/1/size", max_file_bytes + 1), HasSubstr("size"));
  EXPECT_THAT(with("/siblings/1/blobId", "../x"), HasSubstr("blobId"));
  EXPECT_THAT(with("/siblings/0/lfs/sha256", std::string(63, 'c') + "/"), HasSubstr("sha256"));
  EXPECT_THAT(with("/siblings/0/lfs", 1), HasSubstr("lfs"));
  EXPECT_THROW(parse_listing("{", "org/name"), Error);
  EXPECT_THROW(parse_listing(std::string(1 << 16, '['), "org/name"), Error);
}

}  // namespace
}  // namespace sambay::hub
