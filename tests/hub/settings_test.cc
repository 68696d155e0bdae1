#include "hub/settings.h"

#include <gmock/gmock.h>

#include <fstream>
#include <map>

#include "base/error.h"
#include "support/environment.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay::hub {
namespace {

using testing::Environment;
using ::testing::HasSubstr;

std::string message() {
  return testing::fault([&] { Settings::from_environment(); });
}

TEST(HubSettings, TheCacheIsWhereTheMostSpecificVariableSays) {
  const auto cache = [](std::initializer_list<testing::Variable> variables) {
    const Environment environment(variables);
    return Settings::from_environment().cache;
  };
  const testing::Variable home{"HOME", "/home"}, xdg{"XDG_CACHE_HOME", "/xdg"},
      hf{"HF_HOME", "~/hf"}, hub{"HF_HUB_CACHE", "/cache"};
  EXPECT_EQ(cache({home, xdg, hf, hub}), "/cache");
  EXPECT_EQ(cache({home, xdg, hf}), "/home/hf/hub");
  EXPECT_EQ(cache({home, xdg}), "/xdg/huggingface/hub");
  EXPECT_EQ(cache({home}), "/home/.cache/huggingface/hub");
  const Environment environment({});
  EXPECT_THAT(message(), HasSubstr("HF_HOME"));
}

TEST(HubSettings, AnEndpointIsAUrlWithoutASlash) {
  {
    const Environment environment({{"HOME", "/"}, {"HF_ENDPOINT", "http://mirror:8080/hf//"}});
    EXPECT_EQ(Settings::from_environment().endpoint, "http://mirror:8080/hf");
  }
  {
    const Environment environment({{"HOME", "/"}});
    EXPECT_EQ(Settings::from_environment().endpoint, "https://huggingface.co");
  }
  const Environment environment({{"HOME", "/"}, {"HF_ENDPOINT", "file:///etc"}});
  EXPECT_THAT(message(), HasSubstr("HF_ENDPOINT"));
}

TEST(HubSettings, TheTokenIsTheVariablesOrTheFiles) {
  const testing::TempDir folder;
  std::ofstream(folder / "token") << "hf_file\n";
  std::ofstream(folder / "other") << " hf_other ";
  std::ofstream(folder / "broken") << "hf_a\r\nX-Header: b";
  const std::string home = folder.path().string();
  {
    const Environment environment({{"HF_HOME", home}});
    EXPECT_EQ(Settings::from_environment().token, "hf_file");
  }
  {
    const Environment environment({{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/other"}});
    EXPECT_EQ(Settings::from_environment().token, "hf_other");
  }
  {
    const Environment environment({{"HF_HOME", home}, {"HF_TOKEN", "hf_variable"}});
    EXPECT_EQ(Settings::from_environment().token, "hf_variable");
  }
  const Environment environment({{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/broken"}});
  EXPECT_THAT(message(), HasSubstr("not a token"));
  EXPECT_THAT(message(), ::testing::Not(HasSubstr("hf_a")));
}

TEST(HubSettings, OfflineIsAnyYes) {
  for (const auto& [value, offline] : std::map<std::string, bool>{
           {"1", true}, {"true", true}, {"ON", true}, {"yes", true}, {"0", false}, {"", false}}) {
    const Environment environment({{"HOME", "/"}, {"HF_HUB_OFFLINE", value}});
    EXPECT_EQ(Settings::from_environment().offline, offline) << value;
  }
}

}  // namespace
}  // namespace sambay::hub
