// The first byte chooses: the rest is a file that lies beside a model's weights,
// generation_config.json, tokenizer_config.json or chat.json. It is read, within the bounds of what
// it says, or refused by a one-line Error.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "engine/about.h"
#include "formats/generation_config.h"
#include "formats/tokenizer_config.h"

namespace {

using namespace sambay;

void check_generation(const GenerationConfig& config) {
  check(config.temperature >= 0 && config.top_p >= 0 && config.top_p <= 1 && config.min_p >= 0 &&
            config.min_p <= 1 && config.repetition_penalty > 0 && config.top_k >= 0,
        "sampling is within its bounds");
  check(config.max_new_tokens.value_or(1) > 0 && config.max_length.value_or(1) > 0,
        "a length is positive");
  for (const int32_t id : config.eos_token_ids) {
    check(id >= 0, "an id is none below zero");
  }
  for (const auto& text : config.stop_strings) {
    check(!text.empty(), "a stop text has a character");
  }
}

void check_tokens(const TokenizerConfig& config) {
  for (const auto& [name, content] : config.special_tokens) {
    check(config.special_token(name) == content, "a special token is found by its name");
  }
  check(config.special_token("?").empty(), "no token has a name that was not given");
}

void check_about(const About& about) {
  check(about.multi_turn.has_value(), "a chat.json says whether it goes on");
  check(!about.thinking || !(about.thinking->begin.empty() || about.thinking->end.empty()),
        "marks are texts");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    switch (data[0] % 3) {
      case 0:
        check_generation(parse_generation_config(text, "fuzz"));
        break;
      case 1:
        check_tokens(parse_tokenizer_config(text, "fuzz"));
        break;
      default:
        check_about(About::parse(text, "fuzz"));
    }
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
