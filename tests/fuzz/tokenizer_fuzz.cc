// The first byte chooses: the rest is a tokenizer.json, or a text for a tokenizer made on the spot.
// Any file is read or refused by an Error; any text survives the round trip, whole and streamed, or
// becomes what the normalizer makes of it.
#include <cstddef>
#include <cstdint>
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    round_trip(made_on_the_spot(), rest);
    normalize(with_normalizer(data[0] / 2), rest);
    return 0;
  }
  try {
    const Tokenizer tokenizer(parse_tokenizer_json(rest, "fuzz"));
    tokenizer.decode(tokenizer.encode("It's 12 <|end|>\n\xff \u00e9"));
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
