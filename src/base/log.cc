#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/error.h"

namespace sambay {
namespace {

spdlog::level::level_enum chosen_level() {
  const char* wanted = std::getenv("SAMBAY_LOG");
  if (wanted == nullptr || *wanted == '\0') {
    return spdlog::level::info;
  }
  const auto level = spdlog::level::from_str(wanted);
  if (level == spdlog::level::off && std::string_view(wanted) != "off") {
    fail("SAMBAY_LOG", "\"{}\": expected trace, debug, info, warn, error or off", wanted);
  }
  return level;
}

std::unique_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_unique<spdlog::logger>(
      "sambay", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(chosen_level());
  logger->set_pattern("%^%l%$ %v");
  return logger;
}

}  // namespace

spdlog::logger& log() {
  static const auto logger = make_logger();
  return *logger;
}

}  // namespace sambay
