#include "text/known_splits.h"

#include <string>

namespace sambay {
namespace {

// Where a character is, of which kind, and where the next one begins.
struct Char {
  uint8_t kind;
  const char* next;
};

struct Text {
  const uint8_t* kinds;
  const char* end;

  Char at(const char* p) const {
    const auto byte = [p](int i) {
      return static_cast<uint32_t>(static_cast<unsigned char>(p[i]));
    };
    const uint32_t first = byte(0);
    if (first < 0x80) {
      return {kinds[first], p + 1};
    }
    const auto rest = [&](int i) { return byte(i) & 0x3fU; };
    if (first < 0xe0) {
      return {kinds[(first & 0x1fU) << 6 | rest(1)], p + 2};
    }
    if (first < 0xf0) {
      return {kinds[(first & 0xfU) << 12 | rest(1) << 6 | rest(2)], p + 3};
    }
    return {kinds[(first & 0x7U) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3)], p + 4};
  }

  bool is(const char* p, uint32_t kinds_wanted) const {
    return p < end && (at(p).kind & kinds_wanted) != 0;
  }

  // Past all characters of these kinds.
  const char* skip(const char* p, uint32_t kinds_wanted) const {
    while (p < end) {
      const Char c = at(p);
      if ((c.kind & kinds_wanted) == 0) {
        break;
      }
      p = c.next;
    }
    return p;
  }

  // Past 's, 't, 're, 've, 'm, 'll, 'd; p itself if there is none.
  const char* skip_contraction(const char* p, bool any_case) const {
    if (p == end || *p != '\'') {
      return p;
    }
    const auto letter_at = [&](int i) {
      if (end - p <= i) {
        return '\0';
      }
      const char c = p[i];
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = letter_at(1), second = letter_at(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
      return p + 2;
    }
    if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) {
      return p + 3;
    }
    // U+017F is an s of another case.
    const bool long_s =
        any_case && std::string_view(p, static_cast<size_t>(end - p)).starts_with("'\xc5\xbf");
    return long_s ? p + 3 : p;
  }

  // Past a run of white space, as `\s*[\r\n]+` (if line_ends), `\s+(?!\S)` and `\s+` cut it.
  const char* skip_white(const char* p, bool line_ends) const {
    const char *last = p, *behind_newline = nullptr;
    const char* q = p;
    while (q < end) {
      const Char c = at(q);
      if ((c.kind & white) == 0) {
        break;
      }
      behind_newline = c.kind == newline ? c.next : behind_newline;
      last = q;
      q = c.next;
    }
    if (line_ends && behind_newline != nullptr) {
      return behind_newline;
    }
    return q == end || last == p ? q : last;
  }
};

// Letters in the order of a word: capitals, then small ones.
constexpr uint8_t not_small = upper | caseless | mark, not_capital = lower | caseless | mark;

// `[not_small]*[not_capital]+` at p; null if it does not match.
const char* word_with_small(const Text& text, const char* p) {
  const char* last = nullptr;  // behind the last of the run that may count as small
  while (p < text.end) {
    const Char c = text.at(p);
    if ((c.kind & not_small) == 0) {
      break;
    }
    p = c.next;
    last = (c.kind & not_capital) != 0 ? p : last;
  }
  return text.is(p, lower) ? text.skip(p, not_capital) : last;
}

// The first two alternatives of o200k but for contractions; null if neither matches.
const char* cased_word(const Text& text, const char* begin) {
  const Char first = text.at(begin);
  if ((first.kind & (number | newline)) != 0) {
    return nullptr;
  }
  // Whatever is no letter may stand in front of the word.
  const char* p = (first.kind & letter) != 0 ? begin : first.next;
  if (const char* word = word_with_small(text, p)) {
    return word;
  }
  if (first.kind == mark) {  // a word of its own
    return first.next;
  }
  const char* capitals = text.skip(p, not_small);
  return capitals > p ? capitals : nullptr;
}

// `[^\r\n\p{L}\p{N}]?[letters]+`; null if it does not match.
const char* plain_word(const Text& text, const char* begin, uint8_t letters) {
  const Char first = text.at(begin);
  if ((first.kind & (letter | number | newline)) == 0 && text.is(first.next, letters)) {
    return text.skip(first.next, letters);
  }
  return (first.kind & letters) != 0 ? text.skip(first.next, letters) : nullptr;
}

}  // namespace

std::optional<KnownSplit> KnownSplit::find(std::string_view pattern) {
  const auto cl100k = [](const char* letters, const char* digits) {
    return std::string(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?)") + letters + "+|" +
           digits + R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  };
  constexpr const char *any_letter = R"(\p{L})", *with_marks = R"([\p{L}\p{M}])",
                       *one_digit = R"(\p{N})", *three_digits = R"(\p{N}{1,3})";
  if (pattern == R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)") {
    return KnownSplit({});
  }
  for (const char* letters : {any_letter, with_marks}) {
    for (const char* digits : {one_digit, three_digits}) {
      if (pattern == cl100k(letters, digits)) {
        const uint8_t kinds = letters == with_marks ? letter | mark : letter;
        return KnownSplit({Words::letters, kinds, digits == one_digit ? 1 : 3, false});
      }
    }
  }
  if (pattern == R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                 R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
                 R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                 R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
                 R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)") {
    return KnownSplit({Words::cased, letter, 3, true});
  }
  return std::nullopt;
}

const char* KnownSplit::piece_end(const char* begin, const char* end) const {
  const Text text{kinds_, end};
  const Char first = text.at(begin);
  // The kind that decides, behind a space that may belong to the piece.
  const bool spaced = *begin == ' ' && begin + 1 < end;
  const Char behind = spaced ? text.at(begin + 1) : first;
  if (style_.words == Words::cased) {
    if (const char* word = cased_word(text, begin)) {
      return text.skip_contraction(word, true);
    }
  } else {
    const bool any_case = style_.words == Words::letters;
    if (const char* contraction = text.skip_contraction(begin, any_case); contraction != begin) {
      return contraction;
    }
    if (style_.words == Words::letters) {
      if (const char* word = plain_word(text, begin, style_.letters)) {
        return word;
      }
    } else if ((behind.kind & letter) != 0) {
      return text.skip(behind.next, letter);
    } else if (behind.kind == number) {
      return text.skip(behind.next, number);
    }
  }
  if (first.kind == number) {
    const char* p = first.next;
    for (int i = 1; i < style_.digits && text.is(p, number); ++i) {
      p = text.at(p).next;
    }
    return p;
  }
  constexpr uint8_t punctuation = other | mark;
  if ((behind.kind & punctuation) != 0) {
    const char* p = text.skip(behind.next, punctuation);
    while (style_.words != Words::gpt2 && p < end &&
           (*p == '\r' || *p == '\n' || (style_.slashes && *p == '/'))) {
      ++p;
    }
    return p;
  }
  return text.skip_white(begin, style_.words != Words::gpt2);
}

void KnownSplit::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  const char* const end = text.data() + text.size();
  for (const char* begin = text.data(); begin < end;) {
    const char* next = piece_end(begin, end);
    pieces.emplace_back(begin, static_cast<size_t>(next - begin));
    begin = next;
  }
}

}  // namespace sambay
