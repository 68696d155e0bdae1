#include "text/chat.h"

#include <algorithm>

#include "base/error.h"

namespace sambay {
namespace {

int32_t mark_id(const Tokenizer& tokenizer, std::string_view mark) {
  const auto& added = tokenizer.added_tokens();
  const auto found =
      std::find_if(added.begin(), added.end(), [&](const auto& t) { return t.content == mark; });
  if (found == added.end()) {
    fail("tokenizer", "no added token {}: expected {}, {} and {} for chat", mark,
         ChatFormat::user_mark, ChatFormat::assistant_mark, ChatFormat::end_mark);
  }
  return found->id;
}

}  // namespace

std::vector<std::string> chat_special_tokens() {
  return {std::string(ChatFormat::user_mark), std::string(ChatFormat::end_mark),
          std::string(ChatFormat::assistant_mark), std::string(end_of_text_mark)};
}

ChatFormat::ChatFormat(const Tokenizer& tokenizer)
    : tokenizer_(&tokenizer),
      user_(mark_id(tokenizer, user_mark)),
      assistant_(mark_id(tokenizer, assistant_mark)),
      end_(mark_id(tokenizer, end_mark)) {}

std::vector<int32_t> ChatFormat::prompt(std::span<const ChatTurn> turns) const {
  std::vector<int32_t> ids;
  for (const ChatTurn& t : turns) {
    const auto part = turn(t.speaker, t.text);
    ids.insert(ids.end(), part.begin(), part.end());
  }
  ids.push_back(assistant_);
  return ids;
}

std::vector<int32_t> ChatFormat::prompt(std::string_view question) const {
  auto ids = turn(Speaker::user, question);
  ids.push_back(assistant_);
  return ids;
}

std::vector<int32_t> ChatFormat::turn(Speaker speaker, std::string_view text) const {
  std::vector<int32_t> ids = {speaker == Speaker::user ? user_ : assistant_};
  tokenizer_->encode_to(ids, text, AddedTokens::as_text);
  ids.push_back(end_);
  return ids;
}

}  // namespace sambay
