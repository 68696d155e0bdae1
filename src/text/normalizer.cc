#include "text/normalizer.h"

#include <optional>

#include "base/error.h"
#include "text/regex.h"
#include "text/unicode_case.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace sambay {
namespace {

// A text made longer than this, for each byte and in addition, is taken for an attack: a hundred
// replacements of "a" by "aa" would fill any memory.
constexpr size_t longest_growth = 64, longest_addition = 1 << 20;

// Calls each(character) for the characters, and rest(bytes) for what is not UTF-8 and, as nothing
// in it changes, ASCII if `ascii_stays`.
template <class Each, class Rest>
void walk(std::string_view text, bool ascii_stays, Each each, Rest rest) {
  while (!text.empty()) {
    const size_t ascii = ascii_stays ? ascii_prefix(text) : 0;
    const Utf8Step step = ascii > 0 ? Utf8Step{Utf8::invalid, ascii, 0} : utf8_step(text);
    const auto part = text.substr(0, step.bytes);
    if (step.kind == Utf8::valid) {
      each(part, step.code_point);
    } else {
      rest(part);
    }
    text.remove_prefix(step.bytes);
  }
}

void lower(std::string_view text, std::string& out) {
  walk(
      text, false, [&](std::string_view character, uint32_t) { append_lower(out, character); },
      [&](std::string_view bytes) { out += bytes; });
}

void without_marks(std::string_view text, std::string& out) {
  walk(
      text, true,
      [&](std::string_view character, uint32_t c) { out += is_mark(c) ? "" : character; },
      [&](std::string_view bytes) { out += bytes; });
}

}  // namespace

struct Normalizer::Step {
  NormalizerStep what;
  std::optional<Regex> regex;

  // Whether the text changes otherwise than by losing what it begins or ends with; `out` then gets
  // what it becomes. `out` is empty.
  bool apply(std::string_view& text, std::string& out, size_t most) const {
    using Kind = NormalizerStep::Kind;
    switch (what.kind) {
      case Kind::nfc:
        return to_form(UnicodeForm::nfc, text, out);
      case Kind::nfd:
        return to_form(UnicodeForm::nfd, text, out);
      case Kind::nfkc:
        return to_form(UnicodeForm::nfkc, text, out);
      case Kind::nfkd:
        return to_form(UnicodeForm::nfkd, text, out);
      case Kind::lowercase:
        lower(text, out);
        return out != text;
      case Kind::strip:
        text.remove_prefix(what.strip_left ? white_space_at_start(text) : 0);
        text.remove_suffix(what.strip_right ? white_space_at_end(text) : 0);
        return false;
      case Kind::strip_accents:
        without_marks(text, out);
        return out.size() != text.size();
      case Kind::prepend:
        out = text.empty() ? "" : what.content + std::string(text);
        return !text.empty();
      case Kind::replace:
        return regex ? replace_regex(text, out, most) : replace_literal(text, out, most);
    }
    return false;
  }

  // Appends text up to `begin`, then what stands in its place up to `end`.
  void append(std::string_view text, size_t begin, std::string& out, size_t most) const {
    out += text.substr(0, begin);
    out += what.content;
    if (out.size() > most) {
      fail("tokenizer", "normalizer pattern \"{}\" makes the text longer than {} bytes",
           what.pattern.substr(0, 80), most);
    }
  }

  bool replace_literal(std::string_view text, std::string& out, size_t most) const {
    bool changed = false;
    for (size_t at = 0; (at = text.find(what.pattern)) != std::string_view::npos; changed = true) {
      append(text, at, out, most);
      text.remove_prefix(at + what.pattern.size());
    }
    out += changed ? text : "";
    return changed;
  }

  bool replace_regex(std::string_view text, std::string& out, size_t most) const {
    bool changed = false;
    while (!text.empty()) {
      const size_t valid = utf8_valid_prefix(text);
      changed |= replace_in_valid(text.substr(0, valid), out, most);
      text.remove_prefix(valid);
      while (!text.empty() && utf8_step(text).kind != Utf8::valid) {
        out += text[0];
        text.remove_prefix(1);
      }
    }
    return changed;
  }

  bool replace_in_valid(std::string_view text, std::string& out, size_t most) const {
    size_t copied = 0;
    bool changed = false;
    for (size_t from = 0; from <= text.size() && !text.empty();) {
      const auto [begin, end] = regex->find(text, from);
      if (begin == std::string_view::npos) {
        break;
      }
      // As in the library, an empty match right behind another counts for nothing.
      const bool behind = begin == end && changed && begin == copied;
      if (begin >= copied && !behind) {
        append(text.substr(copied), begin - copied, out, most);
        copied = end;
        changed = true;
      }
      from = end > from            ? end
             : from == text.size() ? from + 1
                                   : from + utf8_step(text.substr(from)).bytes;
    }
    out += text.substr(copied);
    return changed;
  }
};

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps, std::string_view tag) {
  for (const NormalizerStep& step : steps) {
    steps_.push_back({step, std::nullopt});
    if (step.is_regex) {
      steps_.back().regex.emplace(step.pattern, "normalizer pattern", tag);
    }
  }
}

Normalizer::~Normalizer() = default;
Normalizer::Normalizer(Normalizer&&) noexcept = default;
Normalizer& Normalizer::operator=(Normalizer&&) noexcept = default;

std::string_view Normalizer::apply(std::string_view text, std::string& storage) const {
  const size_t most = longest_growth * text.size() + longest_addition;
  std::string next;
  for (const Step& step : steps_) {
    next.clear();
    if (step.apply(text, next, most)) {
      storage.swap(next);
      text = storage;
    }
  }
  return text;
}

}  // namespace sambay
