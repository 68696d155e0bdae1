// What a recipe's training will take.
#pragma once

#include <filesystem>

#include "cli/commands.h"

namespace sambay::cli {

// Prints the forecast of a recipe's memory and work: `inspect --train`.
void inspect_training(const std::filesystem::path& recipe, const Common& common);

}  // namespace sambay::cli
