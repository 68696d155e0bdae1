#include "text/added_token_finder.h"

#include <algorithm>
#include <array>

#include "text/utf8.h"

namespace sambay {
namespace {

// Bytes of white space that text begins with.
size_t space_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.kind != Utf8::valid || !is_white_space(step.code_point)) {
      break;
    }
    at += step.bytes;
  }
  return at;
}

size_t last_character(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80) {
    --at;
  }
  return at;
}

// Where the white space at the end of text begins.
size_t space_at_end(std::string_view text) {
  while (!text.empty()) {
    const size_t at = last_character(text);
    if (space_at_start(text.substr(at)) != text.size() - at) {
      break;
    }
    text = text.substr(0, at);
  }
  return text.size();
}

// Any character beyond ASCII that is not white space counts as part of a word.
bool word_character(std::string_view character) {
  const auto c = static_cast<unsigned char>(character[0]);
  return c >= 0x80
             ? space_at_start(character) == 0
             : c == '_' || (c >= '0' && c <= '9') || ((c | 0x20U) >= 'a' && (c | 0x20U) <= 'z');
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  const auto before = text.substr(0, begin), after = text.substr(end);
  return (before.empty() || !word_character(before.substr(last_character(before)))) &&
         (after.empty() || !word_character(after));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens) {
  for (const AddedToken& token : tokens) {
    (token.normalized ? normalized_ : plain_).push_back(token);
  }
  for (Group* group : {&plain_, &normalized_}) {
    std::stable_sort(group->begin(), group->end(),
                     [](const auto& a, const auto& b) { return a.content < b.content; });
  }
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Part> parts, all;
  split_by(plain_, text, parts);
  for (const Part& part : parts) {
    if (part.id >= 0) {
      all.push_back(part);
    } else {
      split_by(normalized_, part.text, all);
    }
  }
  return all;
}

void AddedTokenFinder::split_by(const Group& group, std::string_view text,
                                std::vector<Part>& parts) {
  std::array<bool, 256> begins{};
  for (const AddedToken& token : group) {
    begins[static_cast<unsigned char>(token.content[0])] = true;
  }
  size_t done = 0;  // everything before lies in a part
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token =
        begins[static_cast<unsigned char>(text[at])] ? longest_at(group, text.substr(at)) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->single_word && !stands_alone(text, begin, end)) {
      continue;
    }
    if (token->lstrip) {
      begin = space_at_end(text.substr(0, begin));
    }
    begin = std::max(begin, done);
    if (token->rstrip) {
      end += space_at_start(text.substr(end));
    }
    if (begin > done) {
      parts.push_back({-1, text.substr(done, begin - done)});
    }
    parts.push_back({token->id, text.substr(begin, end - begin)});
    done = end;
    at = std::max(at, end);
  }
  if (done < text.size()) {
    parts.push_back({-1, text.substr(done)});
  }
}

// Narrows the sorted tokens a byte at a time to those that the text may still turn out to be.
const AddedToken* AddedTokenFinder::longest_at(const Group& group, std::string_view text) {
  const AddedToken* longest = nullptr;
  auto begin = group.begin(), end = group.end();
  for (size_t i = 0; i < text.size() && begin != end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto byte_of = [i](const AddedToken& token) {
      return i < token.content.size() ? int{static_cast<unsigned char>(token.content[i])} : -1;
    };
    begin = std::partition_point(begin, end, [&](const auto& t) { return byte_of(t) < byte; });
    end = std::partition_point(begin, end, [&](const auto& t) { return byte_of(t) <= byte; });
    if (begin != end && begin->content.size() == i + 1) {
      longest = &*begin;
    }
  }
  return longest;
}

}  // namespace sambay
