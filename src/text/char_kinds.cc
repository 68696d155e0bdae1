#include "text/char_kinds.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/pcre2_handles.h"
#include "text/utf8.h"

namespace sambay {
namespace {

constexpr uint32_t code_points = 0x110000, first_surrogate = 0xd800, last_surrogate = 0xdfff;

// Group i matches a run of the i-th kind.
constexpr const char* pattern =
    R"(([\p{Lu}\p{Lt}]+)|(\p{Ll}+)|([\p{Lm}\p{Lo}]+)|(\p{M}+)|(\p{N}+)|)"
    R"(([\r\n]+)|([\x{9}-\x{d}\x{85}\p{Z}]))";
constexpr std::array<uint8_t, 7> kinds = {upper, lower, caseless, mark, number, newline, blank};

std::vector<uint8_t> ask_pcre2() {
  std::string all;
  std::vector<uint32_t> code_point_at;  // by byte; of those that begin a character
  for (uint32_t c = 0; c < code_points; ++c) {
    if (c < first_surrogate || c > last_surrogate) {
      append_utf8(all, c);
      code_point_at.resize(all.size(), c);
    }
  }
  int code = 0;
  size_t at = 0;
  const pcre2::Code compiled(pcre2_compile(reinterpret_cast<const unsigned char*>(pattern),
                                           PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at,
                                           nullptr));
  check(compiled != nullptr, "the kinds' pattern compiles");
  pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);
  const pcre2::MatchData match(pcre2_match_data_create_from_pattern(compiled.get(), nullptr));
  check(match != nullptr, "there is memory for a match");

  std::vector<uint8_t> out(code_points, other);
  for (at = 0; at < all.size();) {
    const int found =
        pcre2_match(compiled.get(), reinterpret_cast<const unsigned char*>(all.data()), all.size(),
                    at, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found < 2) {
      break;
    }
    // The highest group that matched is the only one.
    const uint8_t kind = kinds[static_cast<size_t>(found - 2)];
    const size_t* ends = pcre2_get_ovector_pointer(match.get());
    const uint32_t first = code_point_at[ends[0]], last = code_point_at[ends[1] - 1];
    std::fill(out.begin() + first, out.begin() + last + 1, kind);
    at = ends[1];
  }
  std::fill(out.begin() + first_surrogate, out.begin() + last_surrogate + 1, other);
  return out;
}

}  // namespace

const uint8_t* char_kinds() {
  static const std::vector<uint8_t> table = ask_pcre2();
  return table.data();
}

}  // namespace sambay
