#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/thinking_printer.h"
#include "engine/conversation.h"

namespace sambay::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model, prompt, load, dtype, thinking;
  int kv_bits = 0;
  bool no_generation_config = false;
  ConversationOptions conversation{.generate = {.max_tokens = 2048}};
};

// models/tiny-reasoner beside the program or in a folder above it or above the current one.
fs::path default_model() {
  if (const char* named = std::getenv("SAMBAY_MODEL"); named != nullptr) {
    return named;
  }
  std::error_code ignored;
  for (const fs::path& start :
       {fs::current_path(ignored), fs::read_symlink("/proc/self/exe", ignored).parent_path()}) {
    for (fs::path folder = start; !folder.empty(); folder = folder.parent_path()) {
      for (const char* below : {"models/tiny-reasoner", "share/sambay/models/tiny-reasoner"}) {
        if (fs::exists(folder / below / "config.json", ignored)) {
          return folder / below;
        }
      }
      if (folder == folder.root_path()) {
        break;
      }
    }
  }
  fail("run", "no model: name its folder, or set SAMBAY_MODEL");
}

nlohmann::json to_json(const Answer& answer, const Tokenizer& tokenizer) {
  const Generation& g = answer.generation;
  nlohmann::json json = {{"text", g.text},
                         {"thinking", answer.thinking},
                         {"answer", answer.answer},
                         {"ids", g.ids},
                         {"finish_reason", name(g.reason)},
                         {"prompt_tokens", g.prompt_tokens},
                         {"sampled_tokens", g.sampled_tokens},
                         {"prefill_seconds", g.prefill_seconds},
                         {"decode_seconds", g.decode_seconds},
                         {"prefill_tokens_per_second", g.prefill_rate()},
                         {"decode_tokens_per_second", g.decode_rate()}};
  const auto entry = [&](int32_t id, double log_prob) {
    return nlohmann::json{
        {"id", id}, {"token", tokenizer.decode(std::span(&id, 1))}, {"log_prob", log_prob}};
  };
  for (const SampledToken& token : g.tokens) {
    auto& line = json["log_probs"].emplace_back(entry(token.id, token.log_prob));
    line["top"] = nlohmann::json::array();
    for (const TokenLogProb& other : token.top) {
      line["top"].push_back(entry(other.id, other.log_prob));
    }
  }
  return json;
}

void answer_once(Conversation& conversation, const LoadedModel& model, const std::string& question,
                 ThinkingPrinter& printer, bool json) {
  const Answer answer = conversation.ask(question, [&](const ThinkingSplitter::Part& part) {
    if (!json) {
      printer.print(part);
    }
    return true;
  });
  printer.end();
  fmt::print("{}\n", json ? to_json(answer, model.tokenizer).dump() : "");
}

void greet(const LoadedModel& model, const About& about) {
  fmt::print("{}\n", about.about.empty() ? model.decoder.config().name : about.about);
  for (const std::string& example : about.examples) {
    fmt::print("  {}\n", example);
  }
  fmt::print("Ctrl-C stops an answer, Ctrl-D leaves; /help lists commands.\n\n");
}

// What the model's generation_config.json asks for and the command line does not.
void take_defaults(const CLI::App& command, const fs::path& folder, ConversationOptions& options) {
  const auto defaults = load_generation_defaults(folder);
  if (!defaults) {
    return;
  }
  GenerateOptions& generate = options.generate;
  set_sampling_defaults(command, generate.sampling, defaults->sampling);
  generate.stop_ids = defaults->stop_ids;
  generate.stop_texts.insert(generate.stop_texts.end(), defaults->stop_texts.begin(),
                             defaults->stop_texts.end());
  if (command.get_option("--max-tokens")->count() == 0) {
    generate.max_tokens = defaults->max_tokens.value_or(generate.max_tokens);
  }
  options.max_length = defaults->max_length;
}

// What the saved chat was set to, but for what the command line gives.
AnswerSettings saved_settings(const CLI::App& command, const SavedChat& chat,
                              AnswerSettings settings) {
  const auto given = [&](const char* option) { return command.get_option(option)->count() > 0; };
  set_sampling_defaults(command, settings.sampling, chat.settings.sampling);
  if (!given("--seed")) {
    settings.sampling.seed = chat.settings.sampling.seed;
  }
  if (!given("--max-tokens")) {
    settings.max_tokens = chat.settings.max_tokens;
  }
  if (!given("--stop")) {
    settings.stop_texts = chat.settings.stop_texts;
  }
  if (!given("--max-thinking-tokens")) {
    settings.max_thinking_tokens = chat.settings.max_thinking_tokens;
  }
  return settings;
}

std::string read_prompt(const Options& options, bool prompt_given) {
  std::string prompt = options.prompt;
  if (prompt_given) {
    check_utf8(prompt, "--prompt");
  } else {
    prompt = read_stdin();
    while (prompt.ends_with('\n') || prompt.ends_with('\r')) {
      prompt.pop_back();
    }
  }
  if (prompt.empty()) {
    fail("prompt", "empty: expected a question");
  }
  return prompt;
}

void run(const CLI::App& command, const Options& options, const Common& common) {
  const bool prompt_given = command.get_option("--prompt")->count() > 0;
  const bool interactive = !prompt_given && !common.json && isatty(STDIN_FILENO) != 0;
  ConversationOptions conversation_options = options.conversation;
  check_options(conversation_options.generate.sampling);
  check_utf8(conversation_options.system, "--system");
  const std::string prompt = interactive ? "" : read_prompt(options, prompt_given);
  const fs::path folder =
      options.model.empty() ? default_model() : model_folder(options.model, common);
  if (!options.no_generation_config) {
    take_defaults(command, folder, conversation_options);
  }
  const ChatSettings settings = ChatSettings::load(folder);
  const LoadedModel model =
      LoadedModel::load(folder, model_precision(options.dtype, options.kv_bits, folder));
  Conversation conversation(model, settings, std::move(conversation_options));
  const SettingsOf settings_of = [&, asked_for = conversation.settings()](const SavedChat& chat) {
    return saved_settings(command, chat, asked_for);
  };
  if (!options.load.empty()) {
    load_chat(conversation, options.load, settings_of);
  }
  ThinkingPrinter printer(parse_thinking_display(options.thinking));
  if (interactive) {
    greet(model, settings.about);
    converse(conversation, settings_of, printer);
  } else {
    answer_once(conversation, model, prompt, printer, common.json);
  }
}

}  // namespace

void add_run(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  ConversationOptions& conversation = options->conversation;
  command.add_option(
      "model", options->model,
      "Model folder, or a name on the Hub; else SAMBAY_MODEL, else models/tiny-reasoner");
  command.add_option("--prompt", options->prompt,
                     "Answer this and leave; else a conversation, or all of stdin");
  auto* system =
      command.add_option("--system", conversation.system,
                         "What the model is told first, if its chat template has a place for it");
  command
      .add_option("--load", options->load,
                  "Go on with a conversation that /save wrote; what it was set to counts unless "
                  "options here say otherwise")
      ->excludes(system);
  add_sampling_options(command, conversation.generate.sampling);
  command
      .add_option("--max-tokens", conversation.generate.max_tokens, "Tokens of an answer at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--stop", conversation.generate.stop_texts, "A text that ends the answer")
      ->allow_extra_args(false);
  command
      .add_option("--thinking", options->thinking,
                  "What becomes of the model's thinking; dimmed on a terminal, else shown")
      ->check(CLI::IsMember({"show", "dim", "hide"}));
  command
      .add_option("--max-thinking-tokens", conversation.max_thinking_tokens,
                  "Tokens of thinking at most: its end is then put in")
      ->check(CLI::PositiveNumber);
  command.add_option("--log-probs", conversation.generate.sampling.log_probs,
                     "With --json: log-probabilities of each token and the n most probable");
  command.add_flag("--raw", conversation.raw, "Continue the prompt as text, without chat marks");
  command.add_flag("--no-generation-config", options->no_generation_config,
                   "Do without the defaults of the model's generation_config.json");
  add_dtype_option(command, options->dtype);
  add_kv_bits_option(command, options->kv_bits);
  command.footer("Example: sambay run --prompt \"What is 123 times 45?\"");
  command.callback([options, &command, &common] { run(command, *options, common); });
}

}  // namespace sambay::cli
