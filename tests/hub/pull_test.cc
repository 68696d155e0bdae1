#include "hub/pull.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "hub/cache.h"
#include "support/environment.h"
#include "support/fake_hub.h"
#include "support/fault.h"
#include "support/file_size_limit.h"
#include "support/temp_dir.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeHub;
using ::testing::HasSubstr;
using testing::noise;
using testing::Reply;
using testing::Request;

constexpr size_t weights_bytes = 600'000;

class HubPull : public ::testing::Test {
 protected:
  HubPull() {
    hub_.files = {{"config.json", {R"({"a": 1})"}},
                  {"model.safetensors", {noise(weights_bytes, 1), true}},
                  {"tokenizer.json", {noise(3000, 2)}},
                  {"README.md", {""}},
                  {"pytorch_model.bin", {"x", true}},
                  {"onnx/model.safetensors", {"y", true}}};
    settings_.cache = folder_ / "hub";
    settings_.endpoint = hub_.url();
    options_.quiet = true;
    options_.retry.first = std::chrono::milliseconds(1);
  }

  PullResult pull() { return hub::pull(*parse_model_name("org/name"), settings_, options_); }
  std::string message() {
    return testing::fault([&] { pull(); });
  }

  const testing::HubFile& file(const std::string& name) const { return hub_.files.at(name); }
  fs::path blob(const std::string& name) const { return cache_.blob(file(name).digest()); }
  fs::path incomplete(const std::string& name) const {
    return cache_.incomplete_blob(file(name).digest());
  }
  std::string ranges_of(const std::string& name) const {
    std::string ranges;
    for (const Request& request : hub_.storage().requests(name)) {
      ranges += request.header("range") + ";";
    }
    return ranges;
  }
  void expect_sound() const { EXPECT_EQ(testing::faults_of_cache(cache_.folder()), ""); }
  void expect_pulled() const {
    expect_sound();
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "README.md"}) {
      EXPECT_EQ(read_text(snapshot_ / name), file(name).content) << name;
      EXPECT_FALSE(fs::exists(incomplete(name))) << name;
    }
    EXPECT_EQ(read_text(cache_.folder() / "refs/main"), FakeHub::commit);
    EXPECT_EQ(cache_.find("main", Needs::model), snapshot_);
  }
  // A pull fails with this, and what is there is sound but not to be found as a model.
  void expect_refused(const ::testing::Matcher<std::string>& words) {
    const std::string said = message();
    EXPECT_THAT(said, words);
    EXPECT_EQ(said.find('\n'), said.npos);
    EXPECT_FALSE(cache_.find("main", Needs::config));
    expect_sound();
  }

  const testing::TempDir folder_;
  const testing::Environment environment_{};
  FakeHub hub_;
  Settings settings_;
  PullOptions options_;
  const Cache cache_{folder_ / "hub", *parse_model_name("org/name")};
  const fs::path snapshot_ = cache_.snapshot(FakeHub::commit);
};

TEST_F(HubPull, WhatAModelNeedsComesIntoTheHubsOwnLayout) {
  const PullResult result = pull();
  EXPECT_EQ(result.folder, snapshot_);
  EXPECT_EQ(result.commit, FakeHub::commit);
  expect_pulled();
  EXPECT_EQ(fs::read_symlink(snapshot_ / "config.json"),
            "../../blobs/" + file("config.json").digest());
  EXPECT_FALSE(fs::exists(snapshot_ / "pytorch_model.bin"));
  EXPECT_FALSE(fs::exists(snapshot_ / "onnx"));
  for (const PulledFile& pulled : result.files) {
    EXPECT_EQ(pulled.fetched_bytes, pulled.bytes);
    EXPECT_EQ(pulled.digest, file(pulled.name).digest());
  }
  EXPECT_EQ(result.files.back().name, "config.json");
}

TEST_F(HubPull, WhatIsThereIsNotFetchedAgain) {
  pull();
  const size_t asked = hub_.hub().requests("/resolve/").size();
  const PullResult again = pull();
  EXPECT_EQ(hub_.hub().requests("/resolve/").size(), asked);
  EXPECT_TRUE(std::ranges::all_of(again.files, [](const auto& f) { return f.fetched_bytes == 0; }));
  EXPECT_EQ(again.files.size(), 4U);
}

TEST_F(HubPull, GlobsSayWhatElseComesAndWhatDoesNot) {
  options_.include = {"*.safetensors", "*.json"};
  options_.exclude = {"token*"};
  pull();
  EXPECT_EQ(read_text(snapshot_ / "onnx/model.safetensors"), "y");
  EXPECT_EQ(fs::read_symlink(snapshot_ / "onnx/model.safetensors"),
            "../../../blobs/" + file("onnx/model.safetensors").digest());
  EXPECT_TRUE(fs::exists(snapshot_ / "config.json"));
  EXPECT_FALSE(fs::exists(snapshot_ / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(snapshot_ / "README.md"));
  options_.include = {"nothing"};
  EXPECT_THAT(message(), HasSubstr("no file"));
}

TEST_F(HubPull, TheSameContentUnderTwoNamesComesOnce) {
  hub_.files["copy.safetensors"] = file("model.safetensors");
  pull();
  expect_pulled();
  EXPECT_EQ(read_text(snapshot_ / "copy.safetensors"), file("model.safetensors").content);
  EXPECT_EQ(hub_.storage().requests().size(), 1U);
}

TEST_F(HubPull, SizesAndHashesThatTheListDoesNotSayAreAskedFor) {
  hub_.says_digests = false;
  pull();
  expect_pulled();
  for (const Request& request : hub_.storage().requests()) {
    EXPECT_EQ(request.method, "GET");  // the Hub's own answer says what the file is
  }
}

TEST_F(HubPull, ADroppedConnectionIsTakenUpWhereItBroke) {
  hub_.disturb(
      "model.safetensors", [](Reply& reply) { reply.sent = 100'000; }, 2);
  hub_.disturb("", [](Reply& reply) { reply.sent = 10; });
  hub_.disturb("config.json", [](Reply& reply) { reply.sent = 0; });
  const PullResult result = pull();
  expect_pulled();
  EXPECT_EQ(ranges_of("model.safetensors"), ";bytes=100000-;bytes=200000-;");
  const auto weights = std::ranges::find(result.files, "model.safetensors", &PulledFile::name);
  EXPECT_EQ(weights->fetched_bytes, static_cast<int64_t>(weights_bytes));
}

TEST_F(HubPull, AServerWithoutRangesBeginsAgain) {
  hub_.knows_ranges = false;
  hub_.disturb("model.safetensors", [](Reply& reply) { reply.sent = 100'000; });
  pull();
  expect_pulled();
}

TEST_F(HubPull, AnEarlierRunsBytesAreUsed) {
  cache_.make_folders();
  std::ofstream(incomplete("model.safetensors"))
      << file("model.safetensors").content.substr(0, 400'000);
  const PullResult result = pull();
  expect_pulled();
  EXPECT_EQ(ranges_of("model.safetensors"), "bytes=400000-;");
  const auto weights = std::ranges::find(result.files, "model.safetensors", &PulledFile::name);
  EXPECT_EQ(weights->fetched_bytes, static_cast<int64_t>(weights_bytes) - 400'000);
}

TEST_F(HubPull, AnEarlierRunsBytesGoWhenAnotherClientHasTheFile) {
  pull();
  std::ofstream(incomplete("model.safetensors")) << "old";
  pull();
  expect_pulled();
}

TEST_F(HubPull, AnEarlierRunsBytesMayBeWrong) {
  for (const size_t size : {1000UL, weights_bytes, weights_bytes + 1}) {
    fs::remove_all(cache_.folder());
    cache_.make_folders();
    std::ofstream(incomplete("model.safetensors")) << noise(size, 9);
    pull();
    expect_pulled();
  }
}

TEST_F(HubPull, WrongBytesAreRemoved) {
  hub_.disturb("model.safetensors", [](Reply& reply) { reply.body[12345] ^= 1; });
  expect_refused(AllOf(HasSubstr("model.safetensors"), HasSubstr("hash"),
                       HasSubstr(file("model.safetensors").digest())));
  EXPECT_FALSE(fs::exists(incomplete("model.safetensors")));
  fs::remove_all(cache_.folder());
  hub_.disturb("tokenizer.json", [](Reply& reply) { reply.body[1] ^= 1; });
  expect_refused(AllOf(HasSubstr("tokenizer.json"), HasSubstr("hash")));
  pull();
  expect_pulled();
}

TEST_F(HubPull, AWrongSizeIsRefused) {
  hub_.disturb("model.safetensors", [](Reply& reply) { reply.body += "more"; });
  expect_refused(AllOf(HasSubstr("model.safetensors"), HasSubstr("more came")));
  EXPECT_FALSE(fs::exists(incomplete("model.safetensors")));
  // The answer is whole, and the file is not: the next one says that there is no more.
  hub_.change_listing = [](nlohmann::json& json) {
    for (auto& sibling : json["siblings"]) {
      if (sibling["rfilename"] == "model.safetensors") {
        sibling["lfs"]["size"] = weights_bytes + 5;
      }
    }
  };
  expect_refused(AllOf(HasSubstr("model.safetensors"), HasSubstr("ends before")));
  EXPECT_FALSE(fs::exists(incomplete("model.safetensors")));
}

TEST_F(HubPull, ATokenStaysWithTheHostItIsFor) {
  hub_.token = settings_.token = "hf_secret";
  pull();
  expect_pulled();
  EXPECT_FALSE(hub_.storage().requests().empty());
  for (const Request& request : hub_.storage().requests()) {
    EXPECT_EQ(request.header("authorization"), "");
  }
  for (const Request& request : hub_.hub().requests()) {
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret");
  }
}

TEST_F(HubPull, RefusalsAreOneLineThatSaysWhatToDo) {
  hub_.token = "hf_secret";
  expect_refused(AllOf(HasSubstr("org/name"), HasSubstr("401"), HasSubstr("HF_TOKEN"),
                       HasSubstr("Invalid username")));
  settings_.token = "hf_wrong";
  expect_refused(AllOf(HasSubstr("401"), HasSubstr("token is not accepted")));
  hub_.token = "";
  hub_.disturb("", [](Reply& reply) { reply = {.status = 404}; });
  expect_refused(AllOf(HasSubstr("404"), HasSubstr("no such model")));
  hub_.disturb("model.safetensors", [](Reply& reply) { reply = {.status = 403}; });
  expect_refused(AllOf(HasSubstr("model.safetensors"), HasSubstr("403"), HasSubstr("access")));
}

TEST_F(HubPull, BusyServersAreAskedAgain) {
  const auto busy = [](int status) { return [=](Reply& reply) { reply = {.status = status}; }; };
  hub_.disturb("", busy(429), 2);
  hub_.disturb("model.safetensors", busy(503), 2);
  hub_.disturb("config.json", busy(500));
  pull();
  expect_pulled();
  EXPECT_EQ(hub_.hub().requests("/api/").size(), 3U);
}

TEST_F(HubPull, PatienceEnds) {
  options_.retry.attempts = 3;
  hub_.disturb(
      "", [](Reply& reply) { reply = {.status = 429}; }, 3);
  expect_refused(AllOf(HasSubstr("429"), HasSubstr("3 times")));
  EXPECT_EQ(hub_.hub().requests("/api/").size(), 3U);
  hub_.disturb("", [](Reply& reply) {
    reply = {.status = 429, .headers = {{"Retry-After", "3600"}}};
  });
  expect_refused(HasSubstr("3600 s"));
}

TEST_F(HubPull, AServerMaySayWhenToComeBack) {
  hub_.disturb("", [](Reply& reply) {
    reply = {.status = 429, .headers = {{"Retry-After", "1"}}};
  });
  const auto begin = std::chrono::steady_clock::now();
  pull();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST_F(HubPull, NobodyThereIsSaidAtOnce) {
  {
    const testing::LoopbackServer gone([](const Request&) { return Reply{}; });
    settings_.endpoint = gone.url();
  }
  options_.retry.first = std::chrono::seconds(100);
  expect_refused(AllOf(HasSubstr("org/name"), HasSubstr(settings_.endpoint)));
}

TEST_F(HubPull, RedirectsEnd) {
  testing::LoopbackServer circle([](const Request&) {
    return Reply{.status = 307, .headers = {{"Location", "/again"}}};
  });
  settings_.endpoint = circle.url();
  expect_refused(HasSubstr("redirects"));
  testing::LoopbackServer sly([](const Request&) {
    return Reply{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
  });
  settings_.endpoint = sly.url();
  expect_refused(HasSubstr("file"));
}

TEST_F(HubPull, AFullDiskIsOneLineAndWhatCameStays) {
  {
    const testing::FileSizeLimit limit(200'000);
    expect_refused(AllOf(HasSubstr("blobs"), HasSubstr("cannot write")));
  }
  EXPECT_EQ(fs::file_size(incomplete("model.safetensors")), 200'000U);
  pull();
  expect_pulled();
  EXPECT_THAT(ranges_of("model.safetensors"), HasSubstr("bytes=200000-;"));
}

TEST_F(HubPull, ADiskThatIsTooSmallIsSaidBeforehand) {
  hub_.change_listing = [](nlohmann::json& json) {
    for (auto& sibling : json["siblings"]) {
      if (sibling["rfilename"] == "model.safetensors") {
        sibling["lfs"]["size"] = max_file_bytes;
      }
    }
  };
  expect_refused(AllOf(HasSubstr("GB"), HasSubstr("free")));
  EXPECT_TRUE(hub_.storage().requests().empty());
}

TEST_F(HubPull, HostileNamesAreRefusedBeforeAnythingIsWritten) {
  for (const char* name : {"../config.json", "/tmp/x", "a/../../b", "a\nb"}) {
    hub_.change_listing = [=](nlohmann::json& json) { json["siblings"][0]["rfilename"] = name; };
    expect_refused(HasSubstr("refused"));
    EXPECT_FALSE(fs::exists(cache_.folder()));
  }
  hub_.change_listing = [](nlohmann::json& json) { json["sha"] = "../../../../tmp/x"; };
  expect_refused(HasSubstr("sha"));
}

TEST_F(HubPull, AFileIsNoFolderOfOthers) {
  hub_.files["config.json/x"] = {"z"};
  options_.include = {"config.json*"};
  EXPECT_NE(message(), "");
  expect_sound();
  EXPECT_FALSE(fs::exists(cache_.folder() / "refs/main"));
}

TEST_F(HubPull, OfflineItSaysWhatIsCached) {
  settings_.offline = true;
  expect_refused(HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_TRUE(hub_.hub().requests().empty());
  settings_.offline = false;
  pull();
  settings_.offline = true;
  const size_t asked = hub_.hub().requests().size();
  EXPECT_EQ(pull().folder, snapshot_);
  EXPECT_EQ(hub_.hub().requests().size(), asked);
}

TEST_F(HubPull, ARevisionThatMovedOnGetsItsOwnSnapshot) {
  cache_.make_folders();
  const std::string old(40, 'e');
  cache_.set_commit("main", old);
  cache_.link(old, "config.json", file("config.json").digest());
  pull();
  expect_pulled();
  EXPECT_TRUE(fs::exists(cache_.snapshot(old) / "config.json"));
}

TEST_F(HubPull, TwoAtOnceShareTheWork) {
  hub_.files["model.safetensors"].content = noise(4'000'000, 3);
  std::vector<std::thread> threads;
  std::vector<PullResult> results(2);
  for (PullResult& result : results) {
    threads.emplace_back([&] { result = pull(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  expect_pulled();
  EXPECT_EQ(hub_.storage().requests().size(), 1U);
}

}  // namespace
}  // namespace sambay::hub
