#include "text/jinja/printing.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/operators.h"
#include "text/unicode_case.h"
#include "text/utf8.h"

namespace sambay::jinja {
namespace {

// repr() of a float: the shortest digits that give the same number.
std::string real_text(double real) {
  std::string text = fmt::format("{}", real);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

std::string python_quoted(std::string_view text) {
  const bool has_single = text.find('\'') != text.npos;
  const char quote = has_single && text.find('"') == text.npos ? '"' : '\'';
  std::string result(1, quote);
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    const uint32_t c = step.code_point;
    if (c == static_cast<uint32_t>(quote) || c == '\\') {
      result += '\\';
      result += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(text.substr(at, step.bytes))) {
      result += text.substr(at, step.bytes);
    } else if (c < 0x100) {
      result += fmt::format("\\x{:02x}", c);
    } else {
      result += c < 0x10000 ? fmt::format("\\u{:04x}", c) : fmt::format("\\U{:08x}", c);
    }
    at += step.bytes;
  }
  return result + quote;
}

// Writes values in Python's notation.
class Printer {
 public:
  explicit Printer(Budget& budget) : budget_(&budget) {}

  void repr(const Value& value) {
    budget_->charge();
    if (const Text* text = value.as_text()) {
      budget_->charge_bytes(text->bytes->size());
      const std::string quoted = python_quoted(*text->bytes);
      out += text->safe ? "Markup(" + quoted + ")" : quoted;
    } else if (const Sequence* sequence = value.as_sequence()) {
      repr(*sequence);
    } else if (const Dict* dict = value.as_dict()) {
      repr(*dict);
    } else if (value.is_undefined()) {
      out += "Undefined";
    } else {
      scalar(value);
    }
  }
  void scalar(const Value& value) {
    if (value.is_none()) {
      out += "None";
    } else if (value.is_boolean()) {
      out += value.truth() ? "True" : "False";
    } else if (const auto integer = value.as_integer()) {
      out += fmt::format("{}", *integer);
    } else if (const double* real = value.as_real()) {
      out += real_text(*real);
    } else {
      out += value.as_object()->text();
    }
  }

  std::string out;

 private:
  void repr(const Sequence& sequence) {
    const bool tuple = sequence.kind == SequenceKind::tuple;
    if (!tuple && sequence.kind != SequenceKind::list) {
      view(sequence);
      return;
    }
    out += tuple ? '(' : '[';
    list(sequence);
    out += tuple ? (sequence.items.size() == 1 ? ",)" : ")") : "]";
  }
  void view(const Sequence& sequence) {
    if (sequence.kind >= SequenceKind::keys) {
      out +=
          Value(std::make_shared<const Sequence>(std::vector<Value>(), sequence.kind)).type_name() +
          "([";
      list(sequence);
      out += "])";
      return;
    }
    fault("nothing to print: a {}; the filter list makes it one that is",
          sequence.kind == SequenceKind::range ? "range" : "generator");
  }
  void list(const Sequence& sequence) {
    const char* before = "";
    for (const Value& item : sequence.items) {
      out += before;
      repr(item);
      before = ", ";
    }
  }
  void repr(const Dict& dict) {
    out += '{';
    const char* before = "";
    for (const auto& [key, value] : dict.entries()) {
      out += before;
      repr(key);
      out += ": ";
      repr(value);
      before = ", ";
    }
    out += '}';
  }

  Budget* budget_;
};

void append_unit(std::string& out, uint32_t unit) {
  out += fmt::format("\\u{:04x}", unit);
}

std::string json_quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    const uint32_t c = step.code_point;
    constexpr std::string_view plain = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    const size_t found = c < 0x80 ? plain.find(static_cast<char>(c)) : plain.npos;
    if (found != plain.npos) {
      out += '\\';
      out += letters[found];
    } else if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000)) {
      append_unit(out, c);
    } else if (ascii && c >= 0x10000) {
      append_unit(out, 0xd800 + ((c - 0x10000) >> 10U));
      append_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ffU));
    } else {
      out += text.substr(at, step.bytes);
    }
    at += step.bytes;
  }
  return out + '"';
}

class JsonPrinter {
 public:
  JsonPrinter(const JsonStyle& style, Budget& budget) : style_(&style), budget_(&budget) {}

  void print(const Value& value) {
    budget_->charge();
    const Sequence* sequence = value.as_sequence();
    if (const Text* text = value.as_text()) {
      string(*text->bytes);
    } else if (sequence != nullptr && sequence->kind <= SequenceKind::tuple) {
      print(*sequence);
    } else if (const Dict* dict = value.as_dict()) {
      print(*dict);
    } else if (value.is_none() || value.as_number()) {
      out += scalar(value);
    } else {
      fault("a value of type {} has no JSON", value.type_name());
    }
  }

  std::string out;

 private:
  static std::string scalar(const Value& value) {
    if (value.is_none()) {
      return "null";
    }
    if (value.is_boolean()) {
      return value.truth() ? "true" : "false";
    }
    if (const auto integer = value.as_integer()) {
      return fmt::format("{}", *integer);
    }
    const double real = *value.as_real();
    if (std::isfinite(real)) {
      return real_text(real);
    }
    return std::isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity";
  }
  void string(std::string_view text) {
    budget_->charge_bytes(text.size());
    out += json_quoted(text, style_->ascii);
  }
  void line() {
    if (style_->indent) {
      out += '\n';
      for (int32_t i = 0; i < level_; ++i) {
        budget_->charge_bytes(style_->indent->size());
        out += *style_->indent;
      }
    }
  }
  // Brackets, separators and lines around what `each` prints of the i-th part.
  template <class Each>
  void group(char open, char close, size_t count, const Each& each) {
    out += open;
    if (count > 0) {
      ++level_;
      for (size_t i = 0; i < count; ++i) {
        out += i > 0 ? style_->item_separator : "";
        line();
        each(i);
      }
      --level_;
      line();
    }
    out += close;
  }
  void print(const Sequence& sequence) {
    group('[', ']', sequence.items.size(), [&](size_t i) { print(sequence.items[i]); });
  }
  void print(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : dict.entries()) {
      entries.push_back(&entry);
    }
    if (style_->sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const auto* a, const auto* b) {
        return less(a->key, b->key, *budget_);
      });
    }
    group('{', '}', entries.size(), [&](size_t i) {
      const Value& key = entries[i]->key;
      string(key.as_text() != nullptr ? *key.as_text()->bytes : scalar(key));
      out += style_->key_separator;
      print(entries[i]->value);
    });
  }

  const JsonStyle* style_;
  Budget* budget_;
  int32_t level_ = 0;
};

}  // namespace

std::string to_text(const Value& value, Budget& budget) {
  if (const Text* text = value.as_text()) {
    budget.charge_bytes(text->bytes->size());
    return *text->bytes;
  }
  return value.is_undefined() ? "" : to_repr(value, budget);
}

std::string to_repr(const Value& value, Budget& budget) {
  Printer printer(budget);
  printer.repr(value);
  return std::move(printer.out);
}

std::string to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonPrinter printer(style, budget);
  printer.print(value);
  return std::move(printer.out);
}

}  // namespace sambay::jinja
