// Stopping long work cleanly.
#pragma once

namespace sambay {

// From here on SIGINT and SIGTERM ask for a stop; a second one ends the process at once.
void install_stop_handler();

// Whether to finish the current step, save, and return. Cheap: a relaxed load.
bool stop_requested();

}  // namespace sambay
