#include "text/splitter.h"

#include <optional>

#include "text/known_splits.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace sambay {
struct Splitter::Rule {
  Regex regex;
  SplitRule rule;
  std::optional<KnownSplit> known =
      rule.keep_matches ? KnownSplit::find(rule.pattern) : std::nullopt;

  void apply(std::string_view text, std::vector<std::string_view>& pieces) const {
    if (known) {
      known->split(text, pieces);
      return;
    }
    size_t gap = 0, from = 0;  // everything before `gap` is given out
    const auto emit = [&](size_t begin, size_t end, bool keep) {
      if (keep && begin < end) {
        pieces.push_back(text.substr(begin, end - begin));
      }
    };
    while (from <= text.size()) {
      const auto [begin, end] = regex.find(text, from);
      if (begin == std::string_view::npos) {
        break;
      }
      if (begin < end && begin >= gap) {
        emit(gap, begin, rule.keep_gaps);
        emit(begin, end, rule.keep_matches);
        gap = end;
      }
      // An empty match: try again one character on.
      from = end > from            ? end
             : from == text.size() ? from + 1
                                   : from + utf8_step(text.substr(from)).bytes;
    }
    emit(gap, text.size(), rule.keep_gaps);
  }
};

Splitter::Splitter(const std::vector<SplitRule>& rules, std::string_view tag) {
  for (const SplitRule& rule : rules) {
    rules_.push_back({.regex = Regex(rule.pattern, "split pattern", tag), .rule = rule});
  }
}

Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;

void Splitter::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  std::vector<std::string_view> before, after;
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(text);
    if (valid > 0 && rules_.size() == 1) {
      rules_[0].apply(text.substr(0, valid), pieces);
    } else if (valid > 0) {
      before.assign(1, text.substr(0, valid));
      for (const Rule& rule : rules_) {
        after.clear();
        for (const std::string_view piece : before) {
          rule.apply(piece, after);
        }
        before.swap(after);
      }
      pieces.insert(pieces.end(), before.begin(), before.end());
    }
    text.remove_prefix(valid);
    size_t bad = 0;
    while (bad < text.size() && utf8_step(text.substr(bad)).kind != Utf8::valid) {
      bad += utf8_step(text.substr(bad)).bytes;
    }
    if (bad > 0) {
      pieces.push_back(text.substr(0, bad));
    }
    text.remove_prefix(bad);
  }
}

}  // namespace sambay
