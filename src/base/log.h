// Messages for whoever runs the program: log().info("{} tokens", n). To stderr.
#pragma once

#include <spdlog/logger.h>

namespace sambay {

// Level info, or what SAMBAY_LOG names (trace, debug, info, warn, error, off). Throws Error if it
// names something else.
spdlog::logger& log();

}  // namespace sambay
