// Filters that make text or numbers of values.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "text/jinja/access.h"
#include "text/jinja/arguments.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/python_text.h"
#include "text/jinja/render.h"
#include "text/unicode_case.h"

namespace sambay::jinja {
namespace {

using Arguments = const CallArguments&;

// The value as text, as most filters on text take it.
std::string soft_text(Render& render, const Value& value) {
  if (value.as_text() != nullptr) {
    text_of(value, "filter");
  }
  return to_text(value, render.budget);
}

template <std::string (*function)(std::string_view)>
Value convert(Render& render, const Value& input, Arguments arguments) {
  const Bound args("filter", arguments, {});
  const std::string text = soft_text(render, input);
  render.budget.charge_elements(text.size());
  return function(text);
}

// Words begin after white space, '-' and opening brackets.
std::string title_words(std::string_view text) {
  const auto parts_words = [](std::string_view character) {
    return std::string_view("-({[<").find(character) != std::string_view::npos ||
           strip(character).empty();
  };
  std::string result, word;
  const auto end_word = [&] {
    const auto letters = characters(word);
    if (!letters.empty()) {
      result += to_upper(letters[0]) + to_lower(std::string_view(word).substr(letters[0].size()));
    }
    word.clear();
  };
  for (const auto character : characters(text)) {
    if (parts_words(character)) {
      end_word();
      result += character;
    } else {
      word += character;
    }
  }
  end_word();
  return result;
}

Value trim(Render& render, const Value& input, Arguments arguments) {
  const Bound args("trim", arguments, {"chars"});
  const std::string text = soft_text(render, input);
  if (!args.some(0)) {
    return Value::text(strip(text));
  }
  render.budget.charge(static_cast<int64_t>(args.text(0).size()) *
                       static_cast<int64_t>(1 + text.size() / 16));
  return Value::text(strip(text, args.text(0), Ends::both));
}

Value replace_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("replace", arguments, {"old", "new", "count"}, 2);
  const std::string text = soft_text(render, input);
  return replaced(text, soft_text(render, args[0]), soft_text(render, args[1]),
                  args.some(2) ? args.integer(2, -1) : -1, render.budget);
}

Value indent(Render& render, const Value& input, Arguments arguments) {
  const Bound args("indent", arguments, {"width", "first", "blank"});
  const bool is_text = args.given(0) && args[0].as_text() != nullptr;
  const int64_t width = is_text ? 0 : args.integer(0, 4);
  if (width > 1000) {
    fault("indent: a width of {}: expected at most 1000", width);
  }
  const std::string space =
      is_text ? args.text(0) : std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  const std::string text = text_of(input, "indent") + "\n";
  render.budget.charge_elements(text.size());
  std::string result = args.truth(1, false) ? space : "";
  bool is_first = true;
  for (const auto line : split_lines(text, false)) {
    const bool indented = !is_first && (args.truth(2, false) || !line.empty());
    render.budget.charge_bytes(line.size() + space.size());
    result += is_first ? "" : "\n";
    result += indented ? space : "";
    result += line;
    is_first = false;
  }
  return result;
}

Value tojson(Render& render, const Value& input, Arguments arguments) {
  const Bound args("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = args.truth(0, false);
  style.sort_keys = args.truth(3, false);
  if (args.some(1)) {
    const bool is_text = args[1].as_text() != nullptr;
    const int64_t width = is_text ? 0 : args.integer(1, 0);
    if (width > 1000) {
      fault("tojson: an indent of {}: expected at most 1000", width);
    }
    style.indent =
        is_text ? args.text(1) : std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    style.item_separator = ",";
  }
  if (args.some(2)) {
    const auto parts = iterate(args[2], render.budget);
    if (parts.size() != 2) {
      fault("tojson: separators: expected two texts");
    }
    style.item_separator = text_of(parts[0], args.what(2));
    style.key_separator = text_of(parts[1], args.what(2));
  }
  return to_json(input, style, render.budget);
}

Value string_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("string", arguments, {});
  return input.as_text() != nullptr ? input : Value(to_text(input, render.budget));
}

Value safe(Render& render, const Value& input, Arguments arguments) {
  const Bound args("safe", arguments, {});
  return Text{std::make_shared<const std::string>(to_text(input, render.budget)), true};
}

Value escape(Render& render, const Value& input, Arguments arguments) {
  const Bound args("escape", arguments, {});
  if (input.as_text() != nullptr && input.as_text()->safe) {
    return input;
  }
  std::string result;
  for (const char c : to_text(input, render.budget)) {
    constexpr std::string_view marks = "&<>'\"";
    constexpr std::array names = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const size_t found = marks.find(c);
    found == marks.npos ? result += c : result += names[found];
  }
  render.budget.charge_bytes(result.size());
  return Text{std::make_shared<const std::string>(std::move(result)), true};
}

Value default_filter(Render&, const Value& input, Arguments arguments) {
  const Bound args("default", arguments, {"default_value", "boolean"});
  const bool replace = input.is_undefined() || (args.truth(1, false) && !input.truth());
  return !replace ? input : args.given(0) ? args[0] : Value::text("");
}

// Digits with a sign, single underscores between them and white space around.
std::optional<int64_t> parse_integer(std::string_view text) {
  text = strip(text);
  const bool negative = text.starts_with('-');
  std::string digits(text.substr(negative || text.starts_with('+') ? 1 : 0));
  if (digits.starts_with('_') || digits.ends_with('_') || digits.find("__") != digits.npos) {
    return {};
  }
  std::erase(digits, '_');
  if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) {
    return {};
  }
  int64_t value = 0;
  const std::string signed_digits = (negative ? "-" : "") + digits;
  const auto [end, error] =
      std::from_chars(signed_digits.data(), signed_digits.data() + signed_digits.size(), value);
  if (error != std::errc()) {
    fault("integer {} is beyond 64 bits", excerpt(digits));
  }
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  text = strip(text);
  const bool negative = text.starts_with('-');
  text.remove_prefix(negative || text.starts_with('+') ? 1 : 0);
  double value = 0;
  if (text.empty() || text.starts_with('-') || text.find('(') != text.npos) {
    return {};
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    fault("number {} is beyond a float", excerpt(text));
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return {};
  }
  return negative ? -value : value;
}

std::optional<int64_t> truncated(double real) {
  if (!std::isfinite(real)) {
    return {};
  }
  if (std::abs(real) >= 9.2e18) {
    fault("integer {} is beyond 64 bits", real);
  }
  return static_cast<int64_t>(real);
}

Value int_filter(Render&, const Value& input, Arguments arguments) {
  const Bound args("int", arguments, {"default", "base"});
  if (args.integer(1, 10) != 10) {
    fault("int: base {} is not supported", args.integer(1, 10));
  }
  std::optional<int64_t> value = defined(input).as_integer();
  if (const Text* text = input.as_text()) {
    value = parse_integer(*text->bytes);
    const auto real = value ? std::nullopt : parse_real(*text->bytes);
    value = real ? truncated(*real) : value;
  } else if (const double* real = input.as_real()) {
    value = truncated(*real);
  }
  return value ? Value(*value) : args.given(0) ? args[0] : Value(int64_t{0});
}

Value float_filter(Render&, const Value& input, Arguments arguments) {
  const Bound args("float", arguments, {"default"});
  std::optional<double> value = defined(input).as_number();
  if (const Text* text = input.as_text()) {
    value = parse_real(*text->bytes);
  }
  return value ? Value(*value) : args.given(0) ? args[0] : Value(0.0);
}

Value abs_filter(Render& render, const Value& input, Arguments arguments) {
  const Bound args("abs", arguments, {});
  return less(input, int64_t{0}, render.budget) ? negate(input) : plus(input);
}

Value round_filter(Render&, const Value& input, Arguments arguments) {
  const Bound args("round", arguments, {"precision", "method"});
  const int64_t precision = args.integer(0, 0);
  const std::string method = args.text(1, "common");
  if (precision < 0 || precision > 300) {
    fault("round: a precision of {}: expected 0 to 300", precision);
  }
  const auto number = defined(input).as_number();
  if (!number) {
    fault("round: expected a number, got {}", input.type_name());
  }
  if (method == "common") {
    return input.as_integer()
               ? Value(*input.as_integer())
               : Value(std::strtod(fmt::format("{:.{}f}", *number, precision).c_str(), nullptr));
  }
  if (method != "ceil" && method != "floor") {
    fault("round: method '{}': expected common, ceil or floor", excerpt(method));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  return (method == "ceil" ? std::ceil(*number * scale) : std::floor(*number * scale)) / scale;
}

constexpr std::array filters = std::to_array<NamedFilter>({
    {"abs", abs_filter},
    {"capitalize", convert<to_capitalized>},
    {"d", default_filter},
    {"default", default_filter},
    {"e", escape},
    {"escape", escape},
    {"float", float_filter},
    {"indent", indent},
    {"int", int_filter},
    {"lower", convert<to_lower>},
    {"replace", replace_filter},
    {"round", round_filter},
    {"safe", safe},
    {"string", string_filter},
    {"title", convert<title_words>},
    {"tojson", tojson},
    {"trim", trim},
    {"upper", convert<to_upper>},
});

}  // namespace

std::span<const NamedFilter> scalar_filters() {
  return filters;
}

Filter find_filter(std::string_view name) {
  for (const auto& group : {scalar_filters(), list_filters()}) {
    const auto found = std::find_if(group.begin(), group.end(),
                                    [name](const NamedFilter& f) { return f.name == name; });
    if (found != group.end()) {
      return found->filter;
    }
  }
  return nullptr;
}

}  // namespace sambay::jinja
