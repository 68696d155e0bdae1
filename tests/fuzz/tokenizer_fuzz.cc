// The first byte chooses: the rest is a text for a tokenizer made on the spot, a tokenizer.json, or
// the beginning of one, up to its vocabulary, to which all bytes are added at the end.
// Any file is read or refused by an Error; any text survives the round trip, whole and streamed.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace {

using namespace sambay;

void round_trip(const Tokenizer& tokenizer, std::string_view text) {
  for (const auto added : {AddedTokens::recognised, AddedTokens::as_text}) {
    const auto ids = tokenizer.encode(text, added);
    check(tokenizer.decode_bytes(ids) == text, "decoding gives back what was encoded");
    StreamDecoder stream(tokenizer, false);
    std::string streamed;
    for (const int32_t id : ids) {
      streamed += stream.push(id);
    }
    streamed += stream.finish();
    check(streamed == tokenizer.decode(ids), "streamed text is the whole text");
  }
}

const Tokenizer& made_on_the_spot() {
  static const Tokenizer tokenizer = [] {
    BpeTrainer trainer({.vocab_size = 400, .special_tokens = {"<|user|>", "<|end|>"}});
    trainer.add(
        "It is a truth universally acknowledged, that a single man in possession of a good "
        "fortune, must be in want of a wife. 12 + 345 = 357\n\n\tÄpfel, 日本語, 日本。");
    return Tokenizer(trainer.train());
  }();
  return tokenizer;
}

// `,"!":0,...}}}`: names of all bytes and the end of a file.
const std::string& bytes_and_end() {
  static const std::string made = [] {
    std::string text;
    for (int byte = 0; byte < 256; ++byte) {
      const char one = static_cast<char>(byte);
      text += fmt::format(",{}:{}", nlohmann::json(to_byte_level({&one, 1})).dump(),
                          byte_level_id(static_cast<unsigned char>(byte)));
    }
    return text + "}}}";
  }();
  return made;
}

void read_file(std::string_view json) {
  try {
    const Tokenizer tokenizer(parse_tokenizer_json(json, "fuzz"));
    tokenizer.decode(tokenizer.encode("It's 12 <|end|>\n\xff \u00e9"));
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  // A word beyond 48 bytes is merged otherwise than a short one.
  constexpr size_t longest_text = 128;
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      round_trip(made_on_the_spot(), rest.substr(0, longest_text));
      break;
    case 1:
      read_file(rest);
      break;
    default:
      read_file(std::string(rest) + bytes_and_end());
  }
  return 0;
}
