#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

namespace sambay::jinja {
namespace {

int32_t depth_above(int32_t depth) {
  if (depth >= value_depth_limit) {
    fault("lists and dicts nested deeper than {}", value_depth_limit);
  }
  return depth + 1;
}

int32_t depth_of(const std::vector<Value>& items) {
  int32_t deepest = 0;
  for (const Value& item : items) {
    deepest = std::max(deepest, item.depth());
  }
  return depth_above(deepest);
}

Value from_json(const Json& json, int32_t depth) {
  depth_above(depth);
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<int64_t>();
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) {
        fault("integer {} is beyond 64 bits", json.get<uint64_t>());
      }
      return json.get<int64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return json.get<std::string>();
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) {
        items.push_back(from_json(item, depth + 1));
      }
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      const auto dict = std::make_shared<Dict>();
      for (const auto& [key, value] : json.items()) {
        dict->set(Value(key), from_json(value, depth + 1));
      }
      return DictPtr(dict);
    }
    default:
      return {};
  }
}

const char* name(SequenceKind kind) {
  switch (kind) {
    case SequenceKind::list:
      return "list";
    case SequenceKind::tuple:
      return "tuple";
    case SequenceKind::range:
      return "range";
    case SequenceKind::generator:
      return "generator";
    case SequenceKind::keys:
      return "dict_keys";
    case SequenceKind::values:
      return "dict_values";
    case SequenceKind::items:
      return "dict_items";
  }
  return "?";
}

}  // namespace

Value Value::undefined(std::string why) {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

Value Value::list(std::vector<Value> items) {
  return std::make_shared<const Sequence>(std::move(items));
}

Value Value::tuple(std::vector<Value> items) {
  return std::make_shared<const Sequence>(std::move(items), SequenceKind::tuple);
}

Value Value::from_json(const Json& json) {
  return jinja::from_json(json, 0);
}

std::optional<int64_t> Value::as_integer() const {
  if (const auto* boolean = std::get_if<bool>(&data_)) {
    return *boolean ? 1 : 0;
  }
  const auto* integer = std::get_if<int64_t>(&data_);
  return integer == nullptr ? std::nullopt : std::optional(*integer);
}

std::optional<double> Value::as_number() const {
  if (const auto integer = as_integer()) {
    return static_cast<double>(*integer);
  }
  return as_real() == nullptr ? std::nullopt : std::optional(*as_real());
}

bool Value::truth() const {
  if (is_none() || is_undefined()) {
    return false;
  }
  if (const auto number = as_number()) {
    return *number != 0;
  }
  if (const Text* text = as_text()) {
    return !text->bytes->empty();
  }
  if (const Sequence* sequence = as_sequence()) {
    return sequence->kind == SequenceKind::generator || !sequence->items.empty();
  }
  return as_dict() == nullptr || !as_dict()->entries().empty();
}

std::string Value::type_name() const {
  if (is_none()) {
    return "NoneType";
  }
  if (is_undefined()) {
    return "Undefined";
  }
  if (as_integer()) {
    return is_boolean() ? "bool" : "int";
  }
  if (as_real() != nullptr) {
    return "float";
  }
  if (as_text() != nullptr) {
    return "str";
  }
  if (const Sequence* sequence = as_sequence()) {
    return name(sequence->kind);
  }
  return as_dict() != nullptr ? "dict" : as_object()->type_name();
}

int32_t Value::depth() const {
  if (const Sequence* sequence = as_sequence()) {
    return sequence->depth;
  }
  if (const Dict* dict = as_dict()) {
    return dict->depth();
  }
  return as_object() != nullptr ? as_object()->depth() : 0;
}

bool Value::same_as(const Value& other) const {
  if (data_.index() != other.data_.index()) {
    return false;
  }
  if (is_none() || is_undefined()) {
    return is_none();
  }
  if (const auto number = as_number()) {
    return number == other.as_number();
  }
  if (const Text* text = as_text()) {
    return *text->bytes == *other.as_text()->bytes;
  }
  return as_sequence() == other.as_sequence() && as_dict() == other.as_dict() &&
         as_object() == other.as_object();
}

Sequence::Sequence(std::vector<Value> given, SequenceKind of)
    : items(std::move(given)), kind(of), depth(depth_of(items)) {}

std::string key_of(const Value& value) {
  if (const Text* text = value.as_text()) {
    return "s" + *text->bytes;
  }
  if (const auto integer = value.as_integer()) {
    return fmt::format("i{}", *integer);
  }
  if (const double* real = value.as_real()) {
    const bool whole = *real == std::floor(*real) && std::abs(*real) < 9e18;
    return whole ? fmt::format("i{}", static_cast<int64_t>(*real)) : fmt::format("f{}", *real);
  }
  if (value.is_none()) {
    return "n";
  }
  fault("a value of type {} as a key: expected text, a number, true, false or none",
        value.type_name());
}

void Dict::set(const Value& key, Value value) {
  depth_ = std::max(depth_, depth_above(value.depth()));
  const auto [place, is_new] = places_.try_emplace(key_of(key), entries_.size());
  if (is_new) {
    entries_.push_back({key, std::move(value)});
  } else {
    entries_[place->second].value = std::move(value);
  }
}

const Value* Dict::find(const Value& key) const {
  const auto place = places_.find(key_of(key));
  return place == places_.end() ? nullptr : &entries_[place->second].value;
}

const Value* Dict::find(std::string_view key) const {
  return find(Value::text(key));
}

std::optional<Value> Object::attribute(std::string_view) {
  return {};
}

Value Object::call(Render&, const CallArguments&) {
  fault("'{}' object is not callable", type_name());
}

std::string Object::text() const {
  fault("nothing to print: a {}", type_name());
}

}  // namespace sambay::jinja
