// How our own models are asked: which tokens mark whose turn it is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace sambay {

enum class Speaker { user, assistant };

struct ChatTurn {
  Speaker speaker;
  std::string text;
};

// "<|user|>question<|end|><|assistant|>answer<|end|>": an answer is what follows <|assistant|> up
// to the next <|end|>. What users write cannot make marks: it is encoded as text.
class ChatFormat {
 public:
  static constexpr std::string_view user_mark = "<|user|>", assistant_mark = "<|assistant|>",
                                    end_mark = "<|end|>";

  // Throws Error if the tokenizer lacks one of the three marks as an added token.
  explicit ChatFormat(const Tokenizer& tokenizer);

  // The turns so far and the mark that calls for an answer.
  std::vector<int32_t> prompt(std::span<const ChatTurn> turns) const;
  std::vector<int32_t> prompt(std::string_view question) const;

  // A whole turn, as in training: mark, text, end mark.
  std::vector<int32_t> turn(Speaker speaker, std::string_view text) const;

  int32_t end_id() const { return end_; }

 private:
  const Tokenizer* tokenizer_;
  int32_t user_, assistant_, end_;
};

// What closes a document that is no conversation.
inline constexpr std::string_view end_of_text_mark = "<|endoftext|>";

// The marks, in the order of their ids, that our own tokenizers have.
std::vector<std::string> chat_special_tokens();

}  // namespace sambay
