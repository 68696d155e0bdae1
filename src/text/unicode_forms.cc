#include "text/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/error.h"
#include "text/utf8.h"

namespace sambay {
namespace {

constexpr uint32_t code_points = 0x110000;

bool composes(UnicodeForm form) {
  return form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
}

// The longest decomposition, of U+FDFA, is 18.
using Decomposition = std::array<utf8proc_int32_t, 24>;

std::span<const utf8proc_int32_t> decompose(uint32_t c, bool compatible, Decomposition& into) {
  const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), into.data(),
                                             static_cast<utf8proc_ssize_t>(into.size()),
                                             static_cast<utf8proc_option_t>(options), nullptr);
  check(count >= 0 && static_cast<size_t>(count) <= into.size(), "a decomposition is short");
  return std::span(into).first(static_cast<size_t>(count));
}

// The canonical combining class.
int order_of(utf8proc_int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

// Composes in place what is decomposed and in canonical order.
void compose(std::vector<utf8proc_int32_t>& points) {
  const auto count =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  check(count >= 0, "composing does not fail");
  points.resize(static_cast<size_t>(count));
}

// For each code point and form, as a bit, whether it may change or change with what stands around
// it.
class Restless {
 public:
  static const Restless& table() {
    static const Restless made;
    return made;
  }
  bool is(uint32_t c, UnicodeForm form) const { return (bits_[c] & bit(form)) != 0; }

 private:
  Restless() : bits_(code_points) {
    // What can compose with what stands before it.
    std::vector<bool> follows(code_points);
    Decomposition buffer;
    for_each([&](uint32_t c) {
      for (const auto part : decompose(c, false, buffer).subspan(1)) {
        follows[static_cast<size_t>(part)] = true;
      }
    });
    std::vector<utf8proc_int32_t> points;
    for_each([&](uint32_t c) {
      for (const auto form :
           {UnicodeForm::nfc, UnicodeForm::nfd, UnicodeForm::nfkc, UnicodeForm::nfkd}) {
        const bool compatible = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
        const auto parts = decompose(c, compatible, buffer);
        points.assign(parts.begin(), parts.end());
        const auto first = points[0];
        bool restless = order_of(static_cast<utf8proc_int32_t>(c)) != 0 || order_of(first) != 0;
        if (composes(form)) {
          restless = restless || follows[c] || follows[static_cast<size_t>(first)];
          if (points.size() > 1) {
            compose(points);
          }
        }
        restless = restless || points.size() != 1 || static_cast<uint32_t>(points[0]) != c;
        bits_[c] |= restless ? bit(form) : 0;
      }
    });
  }

  static uint8_t bit(UnicodeForm form) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(form));
  }
  // Those that could: neither unassigned nor of private use.
  template <class Each>
  static void for_each(Each each) {
    for (uint32_t c = 0x80; c < code_points; ++c) {
      const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
      if (category != UTF8PROC_CATEGORY_CN && category != UTF8PROC_CATEGORY_CO &&
          category != UTF8PROC_CATEGORY_CS) {
        each(c);
      }
    }
  }

  std::vector<uint8_t> bits_;
};

// Appends characters in a form.
class Former {
 public:
  explicit Former(UnicodeForm form) : form_(form) {}

  void append(std::string_view characters, std::string& out) {
    const bool compatible = form_ == UnicodeForm::nfkc || form_ == UnicodeForm::nfkd;
    points_.clear();
    Decomposition buffer;
    for (size_t at = 0; at < characters.size();) {
      const Utf8Step step = utf8_step(characters.substr(at));
      const auto parts = decompose(step.code_point, compatible, buffer);
      points_.insert(points_.end(), parts.begin(), parts.end());
      at += step.bytes;
    }
    // utf8proc orders marks in the square of their number.
    for (auto begin = points_.begin(); begin != points_.end();) {
      const auto end = std::find_if(begin, points_.end(), [](auto c) { return order_of(c) == 0; });
      std::stable_sort(begin, end, [](auto a, auto b) { return order_of(a) < order_of(b); });
      begin = std::find_if(end, points_.end(), [](auto c) { return order_of(c) != 0; });
    }
    if (composes(form_)) {
      compose(points_);
    }
    for (const auto c : points_) {
      append_utf8(out, static_cast<uint32_t>(c));
    }
  }

 private:
  UnicodeForm form_;
  std::vector<utf8proc_int32_t> points_;
};

}  // namespace

bool to_form(UnicodeForm form, std::string_view text, std::string& out) {
  if (ascii_prefix(text) == text.size()) {
    return false;
  }
  const Restless& restless = Restless::table();
  Former former(form);
  out.clear();
  size_t copied = 0;
  // The character before `at` if a mark can compose with it, or `at`.
  size_t base = 0;
  const auto step_at = [&](size_t at) { return utf8_step(text.substr(at)); };
  const auto is_restless = [&](const Utf8Step& step) {
    return step.kind == Utf8::valid && restless.is(step.code_point, form);
  };
  for (size_t at = 0; at < text.size();) {
    if (const size_t ascii = ascii_prefix(text.substr(at)); ascii > 0) {
      at += ascii;
      base = at - 1;
      continue;
    }
    const Utf8Step step = step_at(at);
    if (!is_restless(step)) {
      base = step.kind == Utf8::valid ? at : at + step.bytes;
      at += step.bytes;
      continue;
    }
    size_t end = at + step.bytes;
    while (end < text.size() && is_restless(step_at(end))) {
      end += step_at(end).bytes;
    }
    out += text.substr(copied, base - copied);
    former.append(text.substr(base, end - base), out);
    copied = base = at = end;
  }
  if (copied == 0) {
    return false;
  }
  out += text.substr(copied);
  return out != text;
}

bool is_mark(uint32_t code_point) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

}  // namespace sambay
