#include "hub/resolve.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "support/environment.h"
#include "support/fake_hub.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;
using testing::Environment;
using testing::FakeHub;
using ::testing::HasSubstr;

std::string message(const std::string& text, Needs needs = Needs::model) {
  return testing::fault([&] { resolve_model(text, needs, true); });
}

TEST(HubResolve, AModelNeedsItsConfigAndEveryShard) {
  const testing::TempDir folder;
  const auto write = [&](const std::string& name, std::string_view text) {
    std::ofstream(folder / name) << text;
  };
  EXPECT_FALSE(holds_model(folder.path(), Needs::config));
  write("config.json", "{}");
  EXPECT_TRUE(holds_model(folder.path(), Needs::config));
  EXPECT_FALSE(holds_model(folder.path(), Needs::model));
  write("a-1.safetensors", "");
  EXPECT_TRUE(holds_model(folder.path(), Needs::model));
  write("model.safetensors.index.json",
        R"({"weight_map": {"x": "a-1.safetensors", "y": "a-2.safetensors"}})");
  EXPECT_FALSE(holds_model(folder.path(), Needs::model));
  fs::create_symlink("nowhere", folder / "a-2.safetensors");
  EXPECT_FALSE(holds_model(folder.path(), Needs::model));
  fs::remove(folder / "a-2.safetensors");
  write("a-2.safetensors", "");
  EXPECT_TRUE(holds_model(folder.path(), Needs::model));
}

TEST(HubResolve, PathsAreTakenAsTheyAre) {
  const testing::TempDir folder;
  const Environment environment({});  // not even asked where the cache is
  EXPECT_EQ(resolve_model("/no/such/model", Needs::model, true), "/no/such/model");
  EXPECT_EQ(resolve_model("model", Needs::model, true), "model");
  const fs::path before = fs::current_path();
  fs::create_directories(folder / "org/name");
  fs::current_path(folder.path());
  EXPECT_EQ(resolve_model("org/name", Needs::model, true), "org/name");
  fs::current_path(before);
}

TEST(HubResolve, ANameIsPulledOnceAndThenTakenFromTheCache) {
  const testing::TempDir folder;
  FakeHub hub;
  hub.files = {{"config.json", {"{}"}}, {"model.safetensors", {"weights", true}}};
  const Environment environment({{"HF_HOME", folder.path().string()}, {"HF_ENDPOINT", hub.url()}});
  const fs::path snapshot = folder / "hub/models--org--name/snapshots" / FakeHub::commit;
  EXPECT_EQ(resolve_model("org/name", Needs::config, true), snapshot);
  EXPECT_FALSE(fs::exists(snapshot / "model.safetensors"));
  EXPECT_EQ(resolve_model("org/name", Needs::model, true), snapshot);
  EXPECT_TRUE(fs::exists(snapshot / "model.safetensors"));
  const size_t asked = hub.hub().requests().size();
  EXPECT_EQ(resolve_model("org/name", Needs::model, true), snapshot);
  EXPECT_EQ(resolve_model("org/name@" + FakeHub::commit, Needs::model, true), snapshot);
  EXPECT_EQ(hub.hub().requests().size(), asked);
}

TEST(HubResolve, OfflineOnlyTheCacheIsLookedAt) {
  const testing::TempDir folder;
  FakeHub hub;
  const Environment environment(
      {{"HF_HOME", folder.path().string()}, {"HF_ENDPOINT", hub.url()}, {"HF_HUB_OFFLINE", "1"}});
  EXPECT_THAT(message("org/name"), HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_TRUE(hub.hub().requests().empty());
}

TEST(HubResolve, ARepositoryWithoutWeightsIsNoModel) {
  const testing::TempDir folder;
  FakeHub hub;
  hub.files = {{"config.json", {"{}"}}, {"pytorch_model.bin", {"weights", true}}};
  const Environment environment({{"HF_HOME", folder.path().string()}, {"HF_ENDPOINT", hub.url()}});
  EXPECT_THAT(message("org/name"), HasSubstr("safetensors"));
}

}  // namespace
}  // namespace sambay::hub
