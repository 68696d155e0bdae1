// A stop text (the first byte is its length) and what a user or a model says. No words make a mark
// of a turn; what is streamed is complete characters, the whole text up to the first stop text.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/text_stream.h"
#include "text/bpe_trainer.h"
#include "text/chat.h"
#include "text/utf8.h"

namespace {

using namespace sambay;

const Tokenizer& tokenizer() {
  static const Tokenizer made = [] {
    BpeTrainer trainer(
        {.vocab_size = 300, .special_tokens = {"<|user|>", "<|assistant|>", "<|end|>"}});
    trainer.add("What is 12 times 345? 12 times 345 is 4140. aaab abab Äpfel 日本語");
    return Tokenizer(trainer.train());
  }();
  return made;
}

void keeps_turns_apart(std::string_view text) {
  const auto ids = ChatFormat(tokenizer()).turn(Speaker::user, text);
  const std::span words(ids.data() + 1, ids.size() - 2);
  check(std::ranges::none_of(words, [](int32_t id) { return tokenizer().is_special(id); }),
        "what a user says makes no mark");
  check(tokenizer().decode_bytes(words) == text, "a turn holds the user's words");
}

void streams_up_to(const std::string& stop, std::string_view text) {
  const auto ids = tokenizer().encode(text, AddedTokens::as_text);
  TextStream stream(tokenizer(), {stop});
  std::string streamed;
  const auto take = [&](const std::string& piece) {
    check(utf8_valid_prefix(piece) == piece.size(), "a piece is complete characters");
    streamed += piece;
  };
  for (const int32_t id : ids) {
    take(stream.push(id));
  }
  take(stream.finish());
  const auto whole = tokenizer().decode(ids);
  const auto end = stop.empty() ? whole.npos : whole.find(stop);
  check(stream.stopped() == (end != whole.npos), "a stop text stops the stream");
  check(streamed == whole.substr(0, end), "the stream is the text up to the stop text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t stop_bytes = std::min<size_t>(data[0] % 16, rest.size());
  keeps_turns_apart(rest);
  streams_up_to(utf8_lossy(rest.substr(0, stop_bytes)), rest.substr(stop_bytes));
  return 0;
}
