// Values as templates see them: Python's, and immutable.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"

namespace sambay::jinja {

class Dict;
class Object;
class Render;
struct Sequence;

// Keeps the order of keys, as Python's dicts do.
using Json = nlohmann::ordered_json;

struct None {};
struct Undefined {
  std::shared_ptr<const std::string> why;  // "'tools' is undefined"
};
struct Text {
  std::shared_ptr<const std::string> bytes;  // UTF-8
  bool safe = false;                         // Python's Markup; may only be printed and compared
};
using SequencePtr = std::shared_ptr<const Sequence>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

class Value {
 public:
  Value() = default;  // None
  template <std::same_as<bool> T>
  Value(T boolean) : data_(boolean) {}
  Value(int64_t integer) : data_(integer) {}
  Value(double real) : data_(real) {}
  Value(std::string text) : Value(Text{std::make_shared<const std::string>(std::move(text))}) {}
  Value(Text text) : data_(std::move(text)) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(SequencePtr sequence) : data_(std::move(sequence)) {}
  Value(DictPtr dict) : data_(std::move(dict)) {}
  Value(ObjectPtr object) : data_(std::move(object)) {}

  static Value text(std::string_view text) { return Value(std::string(text)); }
  static Value undefined(std::string why);
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  // Throws Fault if it is nested too deeply.
  static Value from_json(const Json& json);

  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_boolean() const { return std::holds_alternative<bool>(data_); }
  // Null if the value is of another type.
  const Undefined* as_undefined() const { return std::get_if<Undefined>(&data_); }
  const Text* as_text() const { return std::get_if<Text>(&data_); }
  const double* as_real() const { return std::get_if<double>(&data_); }
  const Sequence* as_sequence() const { return pointee<SequencePtr>(); }
  const Dict* as_dict() const { return pointee<DictPtr>(); }
  Object* as_object() const { return pointee<ObjectPtr>(); }
  DictPtr dict_pointer() const { return std::get<DictPtr>(data_); }
  // Booleans are integers, as in Python.
  std::optional<int64_t> as_integer() const;
  std::optional<double> as_number() const;

  // Python's truth of a value.
  bool truth() const;
  // The name of Python's type: "str", "dict"...
  std::string type_name() const;
  // 0 for what holds no other values.
  int32_t depth() const;
  // The same thing, as Python's `is`; small integers and texts by what they hold.
  bool same_as(const Value& other) const;

 private:
  template <class Pointer>
  auto pointee() const -> decltype(std::declval<Pointer>().get()) {
    const auto* pointer = std::get_if<Pointer>(&data_);
    return pointer == nullptr ? nullptr : pointer->get();
  }

  std::variant<None, Undefined, bool, int64_t, double, Text, SequencePtr, DictPtr, ObjectPtr> data_;
};

enum class SequenceKind : uint8_t { list, tuple, range, generator, keys, values, items };

struct Sequence {
  // Throws Fault if it is nested too deeply.
  explicit Sequence(std::vector<Value> items, SequenceKind kind = SequenceKind::list);
  // Has indices and slices.
  bool indexable() const { return kind <= SequenceKind::range; }

  const std::vector<Value> items;
  const SequenceKind kind;
  const int32_t depth;
  // A generator's items are given out once: those before this are gone.
  mutable size_t taken = 0;
};

class Dict {
 public:
  struct Entry {
    Value key, value;
  };

  // A key that is there keeps its place. Throws Fault for a key that is a list, a dict or the like,
  // and if the dict becomes nested too deeply.
  void set(const Value& key, Value value);
  // Null if the key is not there. Throws Fault as set() does.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  int32_t depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> places_;
  int32_t depth_ = 1;
};

// Equal strings for equal keys: 1, 1.0 and True are one key. Throws Fault if the value cannot be
// one.
std::string key_of(const Value& value);

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What is none of Python's plain types: functions, macros, namespaces, loop.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  virtual std::optional<Value> attribute(std::string_view name);
  virtual bool callable() const { return false; }
  virtual Value call(Render& render, const CallArguments& arguments);
  virtual int32_t depth() const { return 0; }
  // Throws Fault if it is nothing to print.
  virtual std::string text() const;
};

}  // namespace sambay::jinja
