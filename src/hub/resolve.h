// What a user names as a model.
#pragma once

#include <filesystem>
#include <string>

#include "hub/cache.h"

namespace sambay::hub {

// The folder of a model: `text` itself where it is there or can only be a path (whether it is a
// model, who opens it says). Else ORG/NAME[@revision]: its snapshot in the cache, without asking
// the Hub, or pulled where the cache does not have what is needed. Throws Error. `quiet`: no
// progress on stderr.
std::filesystem::path resolve_model(const std::string& text, Needs needs, bool quiet);

}  // namespace sambay::hub
