#include "hub/resolve.h"

#include "base/error.h"
#include "base/log.h"
#include "hub/pull.h"

namespace sambay::hub {

namespace fs = std::filesystem;

fs::path resolve_model(const std::string& text, Needs needs, bool quiet) {
  std::error_code ignored;
  const auto model = parse_model_name(text);
  if (!model || fs::exists(text, ignored)) {
    return text;
  }
  const Settings settings = Settings::from_environment();
  if (const auto cached = Cache(settings.cache, *model).find(model->revision, needs)) {
    return *cached;
  }
  if (settings.offline) {
    fail(text, "no folder, not in {}, and HF_HUB_OFFLINE is set", settings.cache.string());
  }
  if (!quiet) {
    log().info("{}: no folder here; asking {}", text, settings.endpoint);
  }
  PullOptions options{.quiet = quiet};
  if (needs == Needs::config) {
    options.include = {"config.json"};
  }
  fs::path folder = pull(*model, settings, options).folder;
  if (!holds_model(folder, needs)) {
    fail(text, "has no config.json with *.safetensors: nothing that can be opened here");
  }
  return folder;
}

}  // namespace sambay::hub
