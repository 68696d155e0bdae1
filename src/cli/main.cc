#include <cstdio>
#include <exception>

#include "base/error.h"
#include "cli/commands.h"

namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

int run(int argc, char** argv) {
  CLI::App app("Trains, evaluates and serves SambaY language models", "sambay");
  app.require_subcommand(0, 1);  // so that an unknown command is named; none is an error below
  app.set_version_flag("--version", "sambay " SAMBAY_VERSION);
  sambay::cli::Common common;
  for (const auto& command : sambay::cli::commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.description);
    sub->add_flag("--json", common.json, "Print the results as JSON");
    command.add(*sub, common);
  }
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) {
      throw CLI::RequiredError("A command");
    }
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      return app.exit(e);  // help and version are "errors" too
    }
    fmt::print(stderr, "sambay: {} (--help says more)\n", e.what());
    return exit_usage;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "sambay: {}\n", e.what());
    return exit_failure;
  }
}
