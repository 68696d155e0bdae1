#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "text/tokenizer.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model, tokenizer, text;
  bool decode = false, marks = false;
};

std::vector<int32_t> parse_ids(std::string_view text, int32_t vocabulary) {
  constexpr const char* separators = " ,\t\r\n[]";
  std::vector<int32_t> ids;
  for (size_t at = 0; (at = text.find_first_not_of(separators, at)) != std::string_view::npos;) {
    const auto word = text.substr(at, text.find_first_of(separators, at) - at);
    int32_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size() || id < 0 || id >= vocabulary) {
      fail("ids", "\"{}\": expected token ids from 0 to {}", word, vocabulary - 1);
    }
    ids.push_back(id);
    at += word.size();
  }
  return ids;
}

void run(const Options& options, bool text_given, const Common& common) {
  if (options.model.empty() == options.tokenizer.empty()) {
    throw CLI::ValidationError("either --model or --tokenizer is needed");
  }
  const Tokenizer tokenizer = Tokenizer::load(
      options.model.empty() ? options.tokenizer : model_folder(options.model, common).string());
  const std::string text = text_given ? options.text : read_stdin();
  check_utf8(text, "text");
  const auto ids = options.decode ? parse_ids(text, tokenizer.vocab_size())
                                  : tokenizer.encode(text, options.marks ? AddedTokens::recognised
                                                                         : AddedTokens::as_text);
  if (common.json) {
    nlohmann::json tokens = nlohmann::json::array();
    for (const int32_t id : ids) {
      tokens.push_back(tokenizer.decode(std::span(&id, 1)));
    }
    fmt::print(
        "{}\n",
        nlohmann::json{{"text", tokenizer.decode(ids)}, {"ids", ids}, {"tokens", tokens}}.dump());
  } else if (options.decode) {
    fmt::print("{}\n", tokenizer.decode(ids));
  } else {
    fmt::print("{}\n", fmt::join(ids, " "));
  }
}

}  // namespace

void add_tokenize(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("--model", options->model,
                     "Model folder, or a name on the Hub, whose tokenizer to use");
  command.add_option("--tokenizer", options->tokenizer, "A tokenizer.json");
  const auto* text = command.add_option("text", options->text, "Text, or ids; else all of stdin");
  command.add_flag("--decode", options->decode, "Ids to text");
  command.add_flag("--marks", options->marks, "Read <|end|> and the like as the tokens they name");
  command.footer("Example: sambay tokenize --model models/tiny-reasoner \"12*34\"");
  command.callback([options, text, &common] { run(*options, text->count() > 0, common); });
}

}  // namespace sambay::cli
