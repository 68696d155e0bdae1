// Tokens to text that may be shown: complete characters, never a part of a stop text.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace sambay {

class TextStream {
 public:
  // Special tokens but for those in `shown` give no text. The tokenizer must outlive the stream.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops,
             std::vector<int32_t> shown = {});

  // The text that this token made certain. A tail that may become a stop text is held back; once
  // stopped(), nothing more comes.
  std::string push(int32_t id);
  // What was held back, when no more tokens come.
  std::string finish();
  // A stop text stands in what the tokens say; it and what follows it is never given out.
  bool stopped() const { return stopped_; }

 private:
  std::string release(std::string_view piece);

  const Tokenizer* tokenizer_;
  StreamDecoder decoder_;
  std::vector<int32_t> shown_;
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace sambay
