#include "cli/chat.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "cli/line_editor.h"
#include "cli/options.h"

namespace sambay::cli {
namespace {

struct Talk {
  Conversation& conversation;
  const SettingsOf& settings_of;
  ThinkingPrinter& printer;
};

// False: leave.
using Action = bool (*)(Talk& talk, const std::string& argument);

struct Command {
  const char* name;
  const char* argument;  // what it is called; empty: there is none
  const char* help;
  Action action;
};

bool help(Talk& talk, const std::string& argument);

std::string size_text(const Conversation& conversation) {
  const int64_t questions = conversation.questions();
  return fmt::format("{} question{}, {} tokens", questions, questions == 1 ? "" : "s",
                     conversation.length());
}

bool save(Talk& talk, const std::string& argument) {
  write_chat(argument, talk.conversation.save());
  fmt::print("[saved {} in {}]\n\n", size_text(talk.conversation), argument);
  return true;
}

bool load(Talk& talk, const std::string& argument) {
  load_chat(talk.conversation, argument, talk.settings_of);
  fmt::print("[loaded {} from {}]\n\n", size_text(talk.conversation), argument);
  return true;
}

bool quit(Talk& /*talk*/, const std::string& /*argument*/) {
  return false;
}

constexpr std::array<Command, 4> commands = {{
    {"/help", "", "lists these commands", help},
    {"/save", "FILE", "writes the conversation to a file", save},
    {"/load", "FILE", "goes on with the conversation of a file instead of this one", load},
    {"/quit", "", "leaves, as Ctrl-D does", quit},
}};

bool help(Talk& /*talk*/, const std::string& /*argument*/) {
  for (const Command& command : commands) {
    fmt::print("  {:<11} {}\n", fmt::format("{} {}", command.name, command.argument), command.help);
  }
  fmt::print("A question that begins with a slash is asked with a space before it.\n\n");
  return true;
}

std::string trimmed(std::string_view text) {
  constexpr const char* blanks = " \t";
  const size_t begin = text.find_first_not_of(blanks);
  return begin == std::string_view::npos
             ? std::string()
             : std::string(text.substr(begin, text.find_last_not_of(blanks) - begin + 1));
}

bool obey(Talk& talk, const std::string& line) {
  const std::string name = line.substr(0, line.find_first_of(" \t"));
  const std::string argument = trimmed(std::string_view(line).substr(name.size()));
  for (const Command& command : commands) {
    if (command.name != name) {
      continue;
    }
    const bool wanted = *command.argument != '\0';
    if (wanted == argument.empty()) {
      fail("chat", "{}: expected {}", name, wanted ? command.argument : "nothing behind it");
    }
    return command.action(talk, argument);
  }
  fail("chat", "{}: no such command; /help lists them", name);
}

void ask(Talk& talk, const std::string& question) {
  check_utf8(question, "question");
  ThinkingPrinter& printer = talk.printer;
  const auto show = [&](const ThinkingSplitter::Part& part) {
    printer.print(part);
    return !LineEditor::take_interrupt();
  };
  const Generation answer = talk.conversation.ask(question, show).generation;
  printer.end();
  fmt::print("\n[{}{} tokens, {:.0f} tokens/s; prompt of {} in {:.0f} ms]\n\n",
             answer.reason == FinishReason::stop ? "" : fmt::format("{}: ", name(answer.reason)),
             answer.sampled_tokens, answer.decode_rate(), answer.prompt_tokens,
             answer.prefill_seconds * 1000);
}

}  // namespace

void load_chat(Conversation& conversation, const std::filesystem::path& file,
               const SettingsOf& settings_of) {
  const SavedChat chat = read_chat(file);
  try {
    conversation.restore(chat);
  } catch (const Error& error) {
    fail(file.string(), "{}", error.what());
  }
  conversation.set(settings_of(chat));
}

void converse(Conversation& conversation, const SettingsOf& settings_of, ThinkingPrinter& printer) {
  Talk talk{conversation, settings_of, printer};
  LineEditor editor("> ");
  for (bool go_on = true; go_on;) {
    const auto line = editor.read();
    if (!line) {
      break;
    }
    if (line->find_first_not_of(" \t") == std::string::npos) {
      continue;
    }
    try {
      if (line->starts_with('/')) {
        go_on = obey(talk, *line);
      } else {
        ask(talk, *line);
      }
    } catch (const Error& error) {
      printer.end();
      fmt::print("{}\n\n", error.what());
    }
  }
  fmt::print("\n");
}

}  // namespace sambay::cli
