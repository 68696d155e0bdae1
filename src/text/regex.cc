#include "text/regex.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace sambay {
namespace {

// What a thread needs beside the compiled patterns.
struct Scratch {
  pcre2::MatchData data{pcre2_match_data_create(1, nullptr)};
  pcre2::MatchContext context{pcre2_match_context_create(nullptr)};
  pcre2::JitStack stack{pcre2_jit_stack_create(size_t{32} << 10, size_t{16} << 20, nullptr)};

  Scratch() {
    if (!data || !context || !stack) {
      throw std::bad_alloc();
    }
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

std::string message_of(int code) {
  std::array<unsigned char, 200> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

// PCRE2's \s has U+180E, which Unicode no longer counts as white space. The substitute differs from
// Oniguruma's \s nowhere. (\S within a class cannot be written so and stays as it is.)
std::string with_unicode_space(std::string_view pattern) {
  constexpr std::string_view space = "\\x{9}-\\x{d}\\x{85}\\p{Z}";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's') {
        out += in_class ? std::string(space) : fmt::format("[{}]", space);
      } else if (next == 'S' && !in_class) {
        out += fmt::format("[^{}]", space);
      } else {
        out += {c, next};
      }
      continue;
    }
    if (in_class && c == '[' && i + 1 < pattern.size() && pattern[i + 1] == ':') {
      const size_t end = pattern.find(":]", i);
      if (end != std::string_view::npos) {
        out += pattern.substr(i, end + 2 - i);
        i = end + 1;
        continue;
      }
    }
    out += c;
    if (!in_class && c == '[') {
      in_class = true;
      // A ']' that comes first is a letter of the class.
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') {
        out += pattern[++i];
      }
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') {
        out += pattern[++i];
      }
    } else if (c == ']') {
      in_class = false;
    }
  }
  return out;
}

pcre2::Code compile(std::string_view pattern, std::string_view name, std::string_view tag) {
  int code = 0;
  size_t offset = 0;
  const std::string ours = with_unicode_space(pattern);
  pcre2::Code compiled(pcre2_compile(
      reinterpret_cast<const unsigned char*>(ours.data()), ours.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr));
  if (!compiled) {
    fail(tag, "{}: {}", name, message_of(code));
  }
  // Without JIT on this machine the interpreter does the same, slower.
  pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);
  return compiled;
}

}  // namespace

Regex::Regex(std::string_view pattern, std::string_view what, std::string_view tag)
    : name_(fmt::format("{} \"{}\"", what, pattern.substr(0, 80))),
      code_(compile(pattern, name_, tag)) {}

std::pair<size_t, size_t> Regex::find(std::string_view text, size_t from) const {
  Scratch& s = scratch();
  const auto* subject = reinterpret_cast<const unsigned char*>(text.data());
  // Steps in proportion to the text are no runaway pattern.
  constexpr size_t least_limit = 10'000'000, steps_a_byte = 16;
  const auto limit = static_cast<uint32_t>(
      std::clamp<size_t>(text.size(), least_limit / steps_a_byte, UINT32_MAX / steps_a_byte) *
      steps_a_byte);
  pcre2_set_match_limit(s.context.get(), limit);
  pcre2_set_depth_limit(s.context.get(), limit);
  int found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, s.data.get(),
                          s.context.get());
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter's stack is the heap
    found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        s.data.get(), s.context.get());
  }
  if (found == PCRE2_ERROR_NOMATCH) {
    return {std::string_view::npos, std::string_view::npos};
  }
  if (found < 0) {
    fail("tokenizer", "{} on {} bytes of text: {}", name_, text.size(), message_of(found));
  }
  const size_t* ends = pcre2_get_ovector_pointer(s.data.get());
  // \K in a look-ahead can put the beginning behind the end.
  return {std::min(ends[0], ends[1]), ends[1]};
}

}  // namespace sambay
