#include "hub/pull.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/signals.h"
#include "cli/commands.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model;
  hub::PullOptions pull;
};

nlohmann::json to_json(const hub::PullResult& result, const hub::ModelName& model) {
  auto files = nlohmann::json::array();
  for (const hub::PulledFile& file : result.files) {
    files.push_back({{"name", file.name},
                     {"bytes", file.bytes},
                     {"fetched_bytes", file.fetched_bytes},
                     {"hash", file.digest}});
  }
  return {{"model", model.repo()},
          {"revision", model.revision},
          {"commit", result.commit},
          {"folder", result.folder.string()},
          {"files", files}};
}

void run(const Options& options, const Common& common) {
  const auto model = hub::parse_model_name(options.model);
  if (!model) {
    fail("pull", "\"{}\": expected ORG/NAME or ORG/NAME@REVISION", options.model);
  }
  hub::PullOptions pull = options.pull;
  pull.quiet = common.json;
  install_stop_handler();
  const auto result = hub::pull(*model, hub::Settings::from_environment(), pull);
  fmt::print("{}\n", common.json ? to_json(result, *model).dump() : result.folder.string());
}

}  // namespace

void add_pull(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("model", options->model, "ORG/NAME, or ORG/NAME@REVISION")->required();
  command
      .add_option("--include", options->pull.include,
                  "Files to fetch instead of those that a model needs, as a glob: '*.json'")
      ->allow_extra_args(false);
  command.add_option("--exclude", options->pull.exclude, "Files not to fetch, as a glob")
      ->allow_extra_args(false);
  command.add_option("--connections", options->pull.connections, "Files fetched at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.footer("Example: sambay pull microsoft/Phi-4-mini-flash-reasoning");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
