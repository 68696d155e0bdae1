#include "text/added_token_finder.h"

#include <algorithm>
#include <array>

#include "text/unicode_case.h"
#include "text/utf8.h"

namespace sambay {
namespace {

bool in_word(std::string_view character) {
  return utf8_step(character).kind == Utf8::valid && is_word_character(character);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  const auto before = text.substr(0, begin), after = text.substr(end);
  return (before.empty() || !in_word(last_character(before))) &&
         (after.empty() || !in_word(first_character(after)));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens,
                                   const Normalizer& normalizer) {
  for (const AddedToken& token : tokens) {
    if (!token.normalized) {
      plain_.push_back(token);
      continue;
    }
    std::string storage;
    AddedToken sought = token;
    sought.content = normalizer.apply(token.content, storage);
    if (!sought.content.empty()) {
      normalized_.push_back(std::move(sought));
    }
  }
  for (Group* group : {&plain_, &normalized_}) {
    std::stable_sort(group->begin(), group->end(),
                     [](const auto& a, const auto& b) { return a.content < b.content; });
  }
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(std::string_view text) const {
  return split_by(plain_, text);
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split_normalized(
    std::string_view text) const {
  return split_by(normalized_, text);
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split_by(const Group& group,
                                                               std::string_view text) {
  std::vector<Part> parts;
  std::array<bool, 256> begins{};
  for (const AddedToken& token : group) {
    begins[static_cast<unsigned char>(token.content[0])] = true;
  }
  size_t done = 0;         // everything before lies in a part
  size_t white_until = 0;  // where white space ends that was taken last
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
    if (token->lstrip && begin > done) {
      begin -= white_space_at_end(text.substr(done, begin - done));
    } else if (token->lstrip) {
      begin = done;
    }
    // White space that a token takes may yet begin the next one, as in the library: `at` stays.
    if (token->rstrip) {
      white_until = end < white_until ? white_until : end + white_space_at_start(text.substr(end));
      end = white_until;
    }
    if (begin > done) {
      parts.push_back({-1, text.substr(done, begin - done)});
    }
    parts.push_back({token->id, text.substr(begin, end - begin)});
    done = end;
  }
  if (done < text.size()) {
    parts.push_back({-1, text.substr(done)});
  }
  return parts;
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
