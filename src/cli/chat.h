// A conversation with somebody at a terminal.
#pragma once

#include <filesystem>
#include <functional>

#include "cli/thinking_printer.h"
#include "engine/conversation.h"

namespace sambay::cli {

// What of a saved chat's settings counts beside the ones given on the command line.
using SettingsOf = std::function<AnswerSettings(const SavedChat& chat)>;

// Throws Error naming the file: not a saved chat, damaged, or with another model.
void load_chat(Conversation& conversation, const std::filesystem::path& file,
               const SettingsOf& settings_of);

// Questions, answers and commands that begin with a slash, until Ctrl-D or /quit. What goes wrong
// is told in one line, and the conversation goes on.
void converse(Conversation& conversation, const SettingsOf& settings_of, ThinkingPrinter& printer);

}  // namespace sambay::cli
