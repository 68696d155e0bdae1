#include "text/utf8.h"

#include <array>
#include <cstring>

namespace sambay {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// The table of well-formed sequences: Unicode 15, table 3-7. Only the second byte's range varies.
struct Lead {
  size_t length;
  unsigned char second_low, second_high;
};

constexpr Lead lead_of(unsigned char byte) {
  if (byte >= 0xc2 && byte <= 0xdf) {
    return {2, 0x80, 0xbf};
  }
  if (byte >= 0xe0 && byte <= 0xef) {
    return {3, static_cast<unsigned char>(byte == 0xe0 ? 0xa0 : 0x80),
            static_cast<unsigned char>(byte == 0xed ? 0x9f : 0xbf)};
  }
  if (byte >= 0xf0 && byte <= 0xf4) {
    return {4, static_cast<unsigned char>(byte == 0xf0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xf4 ? 0x8f : 0xbf)};
  }
  return {0, 0, 0};
}

// Appends the characters of text to out, U+FFFD for invalid parts; returns where an incomplete end
// begins.
size_t append_complete(std::string& out, std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t valid = utf8_valid_prefix(text.substr(at));
    out += text.substr(at, valid);
    at += valid;
    if (at == text.size()) {
      break;
    }
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.kind == Utf8::incomplete) {
      break;
    }
    out += replacement;
    at += step.bytes;
  }
  return at;
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) {
    return {Utf8::valid, 1, first};
  }
  const Lead lead = lead_of(first);
  if (lead.length == 0) {
    return {Utf8::invalid, 1, 0};
  }
  uint32_t code_point = first & (0x7fU >> lead.length);
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) {
      return {Utf8::incomplete, i, 0};
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < (i == 1 ? lead.second_low : 0x80) || byte > (i == 1 ? lead.second_high : 0xbf)) {
      return {Utf8::invalid, i, 0};
    }
    code_point = code_point << 6 | (byte & 0x3fU);
  }
  return {Utf8::valid, lead.length, code_point};
}

size_t ascii_prefix(std::string_view text) {
  size_t at = 0;
  for (uint64_t eight = 0; at + sizeof eight <= text.size(); at += sizeof eight) {
    std::memcpy(&eight, text.data() + at, sizeof eight);
    if ((eight & 0x8080808080808080U) != 0) {
      break;
    }
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) {
    ++at;
  }
  return at;
}

size_t utf8_valid_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      at += ascii_prefix(text.substr(at));
      continue;
    }
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.kind != Utf8::valid) {
      break;
    }
    at += step.bytes;
  }
  return at;
}

std::string utf8_lossy(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  if (append_complete(out, bytes) < bytes.size()) {
    out += replacement;
  }
  return out;
}

std::string utf8_take_complete(std::string& pending) {
  std::string out;
  pending.erase(0, append_complete(out, pending));
  return out;
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, utf8_step(text).bytes);
}

std::string_view last_character(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) {
    --begin;
  }
  return text.substr(begin);
}

void append_utf8(std::string& out, uint32_t code_point) {
  const auto byte = [&out](uint32_t value) { out += static_cast<char>(value); };
  const auto rest = [&](uint32_t shift) { byte(0x80U | ((code_point >> shift) & 0x3fU)); };
  if (code_point < 0x80) {
    byte(code_point);
  } else if (code_point < 0x800) {
    byte(0xc0U | (code_point >> 6U));
    rest(0);
  } else if (code_point < 0x10000) {
    byte(0xe0U | (code_point >> 12U));
    rest(6);
    rest(0);
  } else {
    byte(0xf0U | (code_point >> 18U));
    rest(12);
    rest(6);
    rest(0);
  }
}

bool is_white_space(uint32_t c) {
  return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

size_t white_space_at_start(std::string_view text) {
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

size_t white_space_at_end(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const auto last = last_character(text.substr(0, end));
    if (white_space_at_start(last) != last.size()) {
      break;
    }
    end -= last.size();
  }
  return text.size() - end;
}

}  // namespace sambay
