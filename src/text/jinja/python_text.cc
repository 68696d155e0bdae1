#include "text/jinja/python_text.h"

#include <algorithm>
#include <cstring>

#include "text/utf8.h"

namespace sambay::jinja {
namespace {

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
}

bool is_space(std::string_view character) {
  return is_python_space(utf8_step(character).code_point);
}

bool has(Ends ends, Ends end) {
  return (static_cast<unsigned>(ends) & static_cast<unsigned>(end)) != 0;
}

template <class Unwanted>
std::string_view strip_where(std::string_view text, Ends ends, const Unwanted& unwanted) {
  while (has(ends, Ends::left) && !text.empty() && unwanted(first_character(text))) {
    text.remove_prefix(first_character(text).size());
  }
  while (has(ends, Ends::right) && !text.empty() && unwanted(last_character(text))) {
    text.remove_suffix(last_character(text).size());
  }
  return text;
}

std::string_view leading_word(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    const auto character = first_character(text.substr(end));
    if (is_space(character)) {
      break;
    }
    end += character.size();
  }
  return text.substr(0, end);
}

std::string_view trailing_word(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const auto last = last_character(text.substr(0, begin));
    if (is_space(last)) {
      break;
    }
    begin -= last.size();
  }
  return text.substr(begin);
}

}  // namespace

bool is_python_space(uint32_t code_point) {
  return is_white_space(code_point) || (code_point >= 0x1c && code_point <= 0x1f);
}

int64_t length_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(), begins_character);
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    result.push_back(first_character(text));
    text.remove_prefix(result.back().size());
  }
  return result;
}

size_t find(std::string_view text, std::string_view part) {
  const void* at = memmem(text.data(), text.size(), part.data(), part.size());
  return at == nullptr ? text.npos
                       : static_cast<size_t>(static_cast<const char*>(at) - text.data());
}

std::string_view strip(std::string_view text, Ends ends) {
  return strip_where(text, ends, is_space);
}

std::string_view strip(std::string_view text, std::string_view unwanted, Ends ends) {
  return strip_where(text, ends, [unwanted](std::string_view character) {
    return unwanted.find(character) != unwanted.npos;
  });
}

std::vector<std::string_view> split(std::string_view text, int64_t most, bool from_right) {
  std::vector<std::string_view> parts;
  const Ends end = from_right ? Ends::right : Ends::left;
  for (text = strip(text, end); !text.empty(); text = strip(text, end)) {
    if (most >= 0 && std::ssize(parts) == most) {
      parts.push_back(strip(text));
      break;
    }
    const auto word = from_right ? trailing_word(text) : leading_word(text);
    parts.push_back(word);
    from_right ? text.remove_suffix(word.size()) : text.remove_prefix(word.size());
  }
  if (from_right) {
    std::reverse(parts.begin(), parts.end());
  }
  return parts;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator, int64_t most,
                                    bool from_right) {
  std::vector<std::string_view> parts;
  while (most < 0 || std::ssize(parts) < most) {
    const size_t at = from_right ? text.rfind(separator) : find(text, separator);
    if (at == text.npos) {
      break;
    }
    const size_t behind = at + separator.size();
    parts.push_back(from_right ? text.substr(behind) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(behind);
  }
  parts.push_back(text);
  if (from_right) {
    std::reverse(parts.begin(), parts.end());
  }
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  const auto ends_line = [](uint32_t c) {
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::vector<std::string_view> lines;
  size_t end = 0;
  while (end < text.size()) {
    const Utf8Step step = utf8_step(text.substr(end));
    if (!ends_line(step.code_point)) {
      end += step.bytes;
      continue;
    }
    const size_t bytes = text.substr(end).starts_with("\r\n") ? 2 : step.bytes;
    lines.push_back(text.substr(0, end + (keep_ends ? bytes : 0)));
    text.remove_prefix(end + bytes);
    end = 0;
  }
  if (!text.empty()) {
    lines.push_back(text);
  }
  return lines;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t most) {
  std::string result;
  if (from.empty()) {
    for (; !text.empty() && most != 0; --most) {
      result.append(to).append(first_character(text));
      text.remove_prefix(first_character(text).size());
    }
    return result.append(most != 0 ? to : text);
  }
  for (; most != 0; --most) {
    const size_t at = find(text, from);
    if (at == text.npos) {
      break;
    }
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return result.append(text);
}

int64_t count(std::string_view text, std::string_view part) {
  if (part.empty()) {
    return length_of(text) + 1;
  }
  int64_t found = 0;
  for (size_t at = find(text, part); at != text.npos; at = find(text, part)) {
    text.remove_prefix(at + part.size());
    ++found;
  }
  return found;
}

}  // namespace sambay::jinja
