#include "text/unicode_case.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "text/unicode_case_table.h"
#include "text/utf8.h"

namespace sambay {
namespace {

using unicode::CaseExpansion;
using unicode::CaseRange;

struct Conversion {
  std::span<const CaseRange> ranges;
  std::span<const CaseExpansion> expansions;
  char ascii_first;  // of the 26 letters that change
  int ascii_delta;
};
constexpr Conversion upper = {unicode::upper_ranges, unicode::upper_expansions, 'a', 'A' - 'a'};
constexpr Conversion title = {unicode::title_ranges, unicode::title_expansions, 'a', 'A' - 'a'};
constexpr Conversion lower = {unicode::lower_ranges, unicode::lower_expansions, 'A', 'a' - 'A'};

void append_converted(std::string& out, std::string_view character, const Conversion& conversion) {
  const uint32_t c = utf8_step(character).code_point;
  if (c < 0x80) {
    const uint32_t first = static_cast<unsigned char>(conversion.ascii_first);
    const bool changes = c >= first && c < first + 26;
    out += static_cast<char>(static_cast<int>(c) + (changes ? conversion.ascii_delta : 0));
    return;
  }
  const auto range = std::partition_point(conversion.ranges.begin(), conversion.ranges.end(),
                                          [c](const CaseRange& r) { return r.last < c; });
  if (range != conversion.ranges.end() && range->first <= c &&
      (c - range->first) % range->step == 0) {
    const auto to = static_cast<uint32_t>(static_cast<int32_t>(c) + range->delta);
    append_utf8(out, to);
    return;
  }
  const auto expansion =
      std::partition_point(conversion.expansions.begin(), conversion.expansions.end(),
                           [c](const CaseExpansion& e) { return e.from < c; });
  if (expansion != conversion.expansions.end() && expansion->from == c) {
    out += expansion->to;
  } else {
    out += character;
  }
}

// A pattern that holds for parts of texts.
class Pattern {
 public:
  explicit Pattern(const char* pattern) {
    int error = 0;
    PCRE2_SIZE place = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                              PCRE2_UTF | PCRE2_NO_UTF_CHECK, &error, &place, nullptr));
    check(code_ != nullptr, "a pattern of ours compiles");
  }
  // Whether it matches at the place.
  bool at(std::string_view text, size_t place) const {
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
        pcre2_match_data_create(1, nullptr), &pcre2_match_data_free);
    return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), place,
                       PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, match.get(), nullptr) >= 0;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
};

bool is_cased(std::string_view character) {
  static const Pattern cased(R"(\p{Cased})");
  return cased.at(character, 0);
}

bool is_case_ignorable(std::string_view character) {
  static const Pattern ignorable(R"(\p{Case_Ignorable})");
  return ignorable.at(character, 0);
}

constexpr std::string_view capital_sigma = "\u03a3", small_sigma = "\u03c3", final_sigma = "\u03c2";

// Unicode 15, section 3.13, "Final_Sigma": behind a cased letter and not before one, characters
// that case ignores left out. Each search is bounded: a text of nothing but sigmas and characters
// to be ignored would take the square of its length.
bool ends_word(std::string_view before, std::string_view behind) {
  constexpr int farthest = 1000;
  for (int i = 0; i < farthest && !before.empty(); ++i) {
    const auto character = last_character(before);
    if (!is_case_ignorable(character)) {
      break;
    }
    before.remove_suffix(character.size());
  }
  if (before.empty() || !is_cased(last_character(before))) {
    return false;
  }
  for (int i = 0; i < farthest && !behind.empty(); ++i) {
    const auto character = first_character(behind);
    if (!is_case_ignorable(character)) {
      return !is_cased(character);
    }
    behind.remove_prefix(character.size());
  }
  return true;
}

// `next_conversion(character)` says how each character is converted.
template <class Next>
std::string converted(std::string_view text, const Next& next_conversion) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto character = first_character(text.substr(at));
    const Conversion& conversion = next_conversion(character);
    if (&conversion == &lower && character == capital_sigma) {
      out += ends_word(text.substr(0, at), text.substr(at + character.size())) ? final_sigma
                                                                               : small_sigma;
    } else {
      append_converted(out, character, conversion);
    }
    at += character.size();
  }
  return out;
}

}  // namespace

std::string to_upper(std::string_view text) {
  return converted(text, [](std::string_view) -> const Conversion& { return upper; });
}

std::string to_lower(std::string_view text) {
  return converted(text, [](std::string_view) -> const Conversion& { return lower; });
}

std::string to_title(std::string_view text) {
  bool behind_letter = false;
  return converted(text, [&](std::string_view character) -> const Conversion& {
    const Conversion& conversion = behind_letter ? lower : title;
    const auto c = static_cast<unsigned char>(character[0]);
    behind_letter = c < 0x80 ? std::isalpha(c) != 0 : is_cased(character);
    return conversion;
  });
}

std::string to_capitalized(std::string_view text) {
  bool first = true;
  return converted(text, [&](std::string_view) -> const Conversion& {
    return std::exchange(first, false) ? title : lower;
  });
}

void append_lower(std::string& out, std::string_view character) {
  append_converted(out, character, lower);
}

bool is_printable(std::string_view character) {
  const auto c = static_cast<unsigned char>(character[0]);
  if (c < 0x80) {
    return c >= 0x20 && c < 0x7f;
  }
  static const Pattern hidden(R"([\p{C}\p{Z}])");
  return !hidden.at(character, 0);
}

bool is_word_character(std::string_view character) {
  static const Pattern word(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])");
  return word.at(character, 0);
}

}  // namespace sambay
