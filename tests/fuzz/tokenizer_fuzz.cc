// The first byte chooses: the rest is a text for a tokenizer made on the spot, a tokenizer.json, or
// the beginning of one, up to its vocabulary, to which all bytes are added at the end.
// Any file is read or refused by an Error; any text survives the round trip, whole and streamed, or
// becomes what the normalizer makes of it.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/bpe_trainer.h"
#include "text/normalizer.h"
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

TokenizerSpec trained() {
  static const TokenizerSpec spec = [] {
    BpeTrainer trainer({.vocab_size = 400, .special_tokens = {"<|user|>", "<|end|>"}});
    trainer.add(
        "It is a truth universally acknowledged, that a single man in possession of a good "
        "fortune, must be in want of a wife. 12 + 345 = 357\n\n\tÄpfel, 日本語, 日本。");
    return trainer.train();
  }();
  return spec;
}

const Tokenizer& made_on_the_spot() {
  static const Tokenizer tokenizer{trained()};
  return tokenizer;
}

// A tokenizer for each form of Unicode's, with other steps behind it.
const Tokenizer& with_normalizer(unsigned choice) {
  using Kind = NormalizerStep::Kind;
  static const std::vector<Tokenizer> tokenizers = [] {
    std::vector<Tokenizer> made;
    for (const Kind form : {Kind::nfc, Kind::nfd, Kind::nfkc, Kind::nfkd}) {
      TokenizerSpec spec = trained();
      spec.normalizer = {
          {.kind = form},
          {.kind = Kind::replace, .pattern = "\\s+|^", .is_regex = true, .content = " "},
          {.kind = Kind::strip, .strip_left = true, .strip_right = true},
          {.kind = Kind::lowercase}};
      made.emplace_back(std::move(spec));
    }
    return made;
  }();
  return tokenizers[choice % tokenizers.size()];
}

void normalize(const Tokenizer& tokenizer, std::string_view text) {
  std::string storage;
  const auto normalized = Normalizer(tokenizer.spec().normalizer, "fuzz").apply(text, storage);
  check(tokenizer.decode_bytes(tokenizer.encode(text, AddedTokens::as_text)) == normalized,
        "decoding gives what was encoded, normalized");
  tokenizer.encode(text);
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
  // A word beyond 48 bytes is merged otherwise than a short one, beyond 512 in windows; few inputs
  // are that long, or most of the time would go there.
  const size_t longest_text = data[0] % 16 == 0 ? 2048 : 128;
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      round_trip(made_on_the_spot(), rest.substr(0, longest_text));
      normalize(with_normalizer(data[0] / 3), rest.substr(0, longest_text));
      break;
    case 1:
      read_file(rest);
      break;
    default:
      read_file(std::string(rest) + bytes_and_end());
  }
  return 0;
}
