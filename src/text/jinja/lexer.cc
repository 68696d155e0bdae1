#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "text/jinja/budget.h"
#include "text/jinja/python_text.h"
#include "text/utf8.h"

namespace sambay::jinja {
namespace {

// Line ends become \n; one at the very end goes.
std::string normalized(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    const bool carriage_return = source[i] == '\r';
    result += carriage_return ? '\n' : source[i];
    i += carriage_return && i + 1 < source.size() && source[i + 1] == '\n' ? 1 : 0;
  }
  if (result.ends_with('\n')) {
    result.pop_back();
  }
  return result;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_begin(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// A string literal's body to its text.
class Unescaper {
 public:
  explicit Unescaper(std::string_view body) : rest_(body) {}

  std::string text() {
    std::string out;
    while (!rest_.empty()) {
      const char c = take();
      if (c == '\\' && !rest_.empty()) {
        escape(out, take());
      } else {
        out += c;
      }
    }
    return out;
  }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void escape(std::string& out, char letter) {
    constexpr std::string_view letters = "\\'\"abfnrtv", meant = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t found = letters.find(letter); found != letters.npos) {
      out += meant[found];
    } else if (letter == 'x' || letter == 'u' || letter == 'U') {
      append(out, hexadecimal(letter == 'x' ? 2 : letter == 'u' ? 4 : 8));
    } else if (letter >= '0' && letter <= '7') {
      append(out, octal(letter));
    } else if (letter == 'N') {
      fault("escape \\N in a text is not supported");
    } else if (letter != '\n') {  // a line end is escaped away
      out += '\\';
      out += letter;
    }
  }
  uint32_t hexadecimal(size_t digits) {
    uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + std::min(digits, rest_.size()), value, 16);
    if (error != std::errc() || end != rest_.data() + digits) {
      fault("an escape in a text lacks digits: expected {}", digits);
    }
    rest_.remove_prefix(digits);
    return value;
  }
  uint32_t octal(char first) {
    auto value = static_cast<uint32_t>(first - '0');
    for (int i = 0; i < 2 && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '7'; ++i) {
      value = value * 8 + static_cast<uint32_t>(take() - '0');
    }
    return value;
  }
  static void append(std::string& out, uint32_t c) {
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
      fault("an escape in a text names no character: {:#x}", c);
    }
    append_utf8(out, c);
  }

  std::string_view rest_;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    try {
      while (pos_ < source_.size()) {
        text();
      }
    } catch (const Fault& fault) {
      throw Fault(fault.what(), line_);
    }
    add(TokenType::end, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return source_.substr(pos_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }
  void add(TokenType type, std::string text) { tokens_.push_back({type, std::move(text), line_}); }

  void advance(size_t bytes) {
    const auto passed = source_.substr(pos_, bytes);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    line_starting_ = passed.ends_with('\n');
    pos_ += bytes;
  }
  static size_t space_length(std::string_view text) {
    return text.size() - strip(text, Ends::left).size();
  }

  // Text up to the next tag, and what the tag holds.
  void text() {
    const size_t begin = next_tag();
    if (begin == source_.npos) {
      data(rest(), ' ', true);
      advance(rest().size());
      return;
    }
    const char kind = source_[begin + 1];
    const size_t sign_bytes = sign(begin + 2) == ' ' ? 0 : 1;
    data(source_.substr(pos_, begin - pos_), sign(begin + 2), kind == '{');
    advance(begin - pos_);
    if (const auto raw_bytes = kind == '%' ? raw_begin() : std::nullopt) {
      advance(*raw_bytes);
      raw();
    } else if (kind == '#') {
      advance(2 + sign_bytes);
      comment();
    } else {
      add(kind == '{' ? TokenType::variable_begin : TokenType::block_begin, "");
      advance(2 + sign_bytes);
      tag(kind == '{');
    }
  }
  size_t next_tag() const {
    size_t begin = source_.find('{', pos_);
    while (begin != source_.npos) {
      const auto kind = source_.substr(begin + 1, 1);
      if (kind == "{" || kind == "%" || kind == "#") {
        return begin;
      }
      begin = source_.find('{', begin + 1);
    }
    return begin;
  }
  // What stands at a place where a sign may: '-', '+' or nothing (' ').
  char sign(size_t place) const {
    const char c = place < source_.size() ? source_[place] : ' ';
    return c == '-' || c == '+' ? c : ' ';
  }

  // White space before a tag: '-' takes all of it, a block's or comment's takes that of its line.
  void data(std::string_view text, char sign, bool variable) {
    if (sign == '-') {
      text = strip(text, Ends::right);
    } else if (sign == ' ' && !variable) {
      const size_t line_end = text.rfind('\n');
      const size_t begin = line_end == text.npos ? 0 : line_end + 1;
      if ((begin > 0 || line_starting_) && strip(text.substr(begin)).empty()) {
        text = text.substr(0, begin);
      }
    }
    if (!text.empty()) {
      add(TokenType::data, std::string(text));
    }
  }

  // Length of the end of a tag at the place, with the white space that it takes; 0 if none is here.
  static size_t end_length(std::string_view text, std::string_view end) {
    if (text.starts_with('-') && text.substr(1).starts_with(end)) {
      return 1 + end.size() + space_length(text.substr(1 + end.size()));
    }
    if (end == "}}") {
      return text.starts_with(end) ? end.size() : 0;
    }
    if (text.starts_with('+') && text.substr(1).starts_with(end)) {
      return 1 + end.size();
    }
    return !text.starts_with(end)
               ? 0
               : end.size() + (text.substr(end.size()).starts_with('\n') ? 1 : 0);
  }

  void comment() {
    for (size_t i = pos_; i < source_.size(); ++i) {
      const char c = source_[i];
      if (c != '-' && c != '+' && c != '#') {
        continue;
      }
      if (const size_t bytes = end_length(source_.substr(i), "#}"); bytes > 0) {
        advance(i + bytes - pos_);
        return;
      }
    }
    fault("a comment without its end");
  }

  // Length of "{% raw %}" if it is here; a line end behind it stays.
  std::optional<size_t> raw_begin() const {
    const auto behind = keyword(rest().substr(2), "raw");
    if (!behind) {
      return {};
    }
    const auto text = rest().substr(2 + *behind);
    if (text.starts_with("%}")) {
      return 2 + *behind + 2;
    }
    return text.starts_with("-%}") ? std::optional(2 + *behind + end_length(text, "%}"))
                                   : std::nullopt;
  }
  // Length of a sign, the word and white space around it.
  static std::optional<size_t> keyword(std::string_view text, std::string_view word) {
    size_t bytes = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    bytes += space_length(text.substr(bytes));
    if (!text.substr(bytes).starts_with(word)) {
      return {};
    }
    bytes += word.size();
    return bytes + space_length(text.substr(bytes));
  }
  void raw() {
    for (size_t i = source_.find("{%", pos_); i != source_.npos; i = source_.find("{%", i + 1)) {
      const auto behind = keyword(source_.substr(i + 2), "endraw");
      const size_t end = behind ? end_length(source_.substr(i + 2 + *behind), "%}") : 0;
      if (end > 0) {
        data(source_.substr(pos_, i - pos_), sign(i + 2), false);
        advance(i + 2 + *behind + end - pos_);
        return;
      }
    }
    fault("a raw block without its end");
  }

  void tag(bool variable) {
    std::string open;  // the closing brackets that are to come
    while (pos_ < source_.size()) {
      if (open.empty()) {
        if (const size_t bytes = end_length(rest(), variable ? "}}" : "%}"); bytes > 0) {
          add(variable ? TokenType::variable_end : TokenType::block_end, "");
          advance(bytes);
          return;
        }
      }
      if (const size_t space = space_length(rest()); space > 0) {
        advance(space);
      } else if (!number() && !name() && !string()) {
        op(open);
      }
    }
  }

  bool name() {
    if (!is_name_begin(source_[pos_])) {
      return false;
    }
    size_t end = pos_;
    while (end < source_.size() && (is_name_begin(source_[end]) || is_digit(source_[end]))) {
      ++end;
    }
    if (end < source_.size() && (static_cast<unsigned char>(source_[end]) & 0x80U) != 0) {
      fault("a name with a character beyond ASCII");
    }
    add(TokenType::name, std::string(source_.substr(pos_, end - pos_)));
    advance(end - pos_);
    return true;
  }

  // End of the digits, which single underscores may separate, that begin at a place.
  size_t digits_end(size_t place) const {
    while (place < source_.size() && is_digit(source_[place])) {
      ++place;
      if (place + 1 < source_.size() && source_[place] == '_' && is_digit(source_[place + 1])) {
        ++place;
      }
    }
    return place;
  }
  bool number() {
    if (!is_digit(source_[pos_])) {
      return false;
    }
    const auto letter = [this](size_t i) { return i < source_.size() ? source_[i] : ' '; };
    size_t end = digits_end(pos_);
    bool real = false;
    const bool after_dot = pos_ > 0 && source_[pos_ - 1] == '.';
    if (!after_dot && letter(end) == '.' && is_digit(letter(end + 1))) {
      end = digits_end(end + 1);
      real = true;
    }
    if (!after_dot && (letter(end) == 'e' || letter(end) == 'E')) {
      const size_t exponent = end + (letter(end + 1) == '+' || letter(end + 1) == '-' ? 2 : 1);
      if (is_digit(letter(exponent))) {
        end = digits_end(exponent);
        real = true;
      }
    }
    if (is_name_begin(letter(end)) ||
        (!real && source_[pos_] == '0' && end - pos_ > 1 &&
         source_.substr(pos_, end - pos_).find_first_not_of("0_") != source_.npos)) {
      fault("a number that is not supported: {}", excerpt(rest().substr(0, end + 1 - pos_)));
    }
    std::string text(source_.substr(pos_, end - pos_));
    std::erase(text, '_');
    add(real ? TokenType::real : TokenType::integer, std::move(text));
    advance(end - pos_);
    return true;
  }

  bool string() {
    const char quote = source_[pos_];
    if (quote != '\'' && quote != '"') {
      return false;
    }
    size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != quote) {
      end += source_[end] == '\\' ? 2 : 1;
    }
    if (end >= source_.size()) {
      fault("a text without its end quote");
    }
    add(TokenType::string, Unescaper(source_.substr(pos_ + 1, end - pos_ - 1)).text());
    advance(end + 1 - pos_);
    return true;
  }

  void op(std::string& open) {
    constexpr std::array<std::string_view, 24> operators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~",
        "[",  "]",  "(",  ")",  "{",  "}",  ">", "<", "=", ".", ":", "|"};
    auto found = std::find_if(operators.begin(), operators.end(),
                              [this](std::string_view text) { return at(text); });
    const std::string_view text = found != operators.end() ? *found : at(",") ? "," : "";
    if (text.empty()) {
      fault("unexpected character '{}'", first_character(rest()));
    }
    constexpr std::string_view opening = "([{", closing = ")]}";
    if (const size_t kind = opening.find(text[0]); kind != opening.npos) {
      open += closing[kind];
    } else if (closing.find(text[0]) != closing.npos) {
      if (!open.ends_with(text)) {
        fault("unexpected '{}'", text);
      }
      open.pop_back();
    }
    add(TokenType::op, std::string(text));
    advance(text.size());
  }

  std::string_view source_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > template_bytes_limit) {
    fault("a template of {} bytes: expected at most {}", source.size(), template_bytes_limit);
  }
  if (utf8_valid_prefix(source) < source.size()) {
    fault("not UTF-8 at byte {}", utf8_valid_prefix(source));
  }
  const std::string text = normalized(source);
  return Lexer(text).run();
}

}  // namespace sambay::jinja
