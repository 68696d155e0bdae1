#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/python_text.h"

namespace sambay::jinja {
namespace {

[[noreturn]] void no_operator(std::string_view name, const Value& a, const Value& b) {
  fault("unsupported operand types for {}: '{}' and '{}'", name, a.type_name(), b.type_name());
}

[[noreturn]] void overflow() {
  fault("an integer beyond 64 bits");
}

void check_operands(const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (defined(*value).as_text() != nullptr) {
      text_of(*value, "operator");
    }
  }
}

using IntegerOperation = bool (*)(int64_t, int64_t, int64_t*);

// Integers by `exact`, which says whether it overflows; else numbers by `rounded`.
template <class Rounded>
Value arithmetic(std::string_view name, const Value& a, const Value& b, IntegerOperation exact,
                 const Rounded& rounded) {
  check_operands(a, b);
  const auto i = a.as_integer(), j = b.as_integer();
  if (i && j) {
    int64_t result = 0;
    if (exact(*i, *j, &result)) {
      overflow();
    }
    return result;
  }
  const auto x = a.as_number(), y = b.as_number();
  if (!x || !y) {
    no_operator(name, a, b);
  }
  return rounded(*x, *y);
}

double nonzero(double divisor) {
  if (divisor == 0) {
    fault("division by zero");
  }
  return divisor;
}

bool floor_divide_integers(int64_t a, int64_t b, int64_t* result) {
  nonzero(static_cast<double>(b));
  if (b == -1) {
    return __builtin_sub_overflow(int64_t{0}, a, result);
  }
  *result = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
  return false;
}

bool modulo_integers(int64_t a, int64_t b, int64_t* result) {
  nonzero(static_cast<double>(b));
  const int64_t rest = b == -1 ? 0 : a % b;
  *result = rest + ((rest != 0 && (rest < 0) != (b < 0)) ? b : 0);
  return false;
}

// The remainder has the sign of the divisor.
double modulo_reals(double a, double b) {
  const double rest = std::fmod(a, nonzero(b));
  if (rest == 0) {
    return std::copysign(0.0, b);
  }
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_divide_reals(double a, double b) {
  double rest = std::fmod(a, nonzero(b));
  double quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    quotient -= 1;
  }
  if (quotient == 0) {
    return std::copysign(0.0, a / b);
  }
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

int64_t power_of_integers(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) {
      overflow();
    }
    exponent /= 2;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
      overflow();
    }
  }
  return result;
}

bool is_list_like(const Sequence* sequence) {
  return sequence != nullptr && sequence->kind <= SequenceKind::tuple;
}

Value repeat(const Value& value, int64_t times, Budget& budget) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (const Text* text = value.as_text()) {
    if (!text->bytes->empty()) {
      budget.charge(static_cast<int64_t>(std::min<size_t>(count, INT64_MAX / 2)) / 16);
    }
    std::string result;
    for (size_t i = 0; i < count && !text->bytes->empty(); ++i) {
      budget.charge_bytes(text->bytes->size());
      result += *text->bytes;
    }
    return result;
  }
  const Sequence& sequence = *value.as_sequence();
  std::vector<Value> items;
  for (size_t i = 0; i < count && !sequence.items.empty(); ++i) {
    budget.charge_elements(sequence.items.size());
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return std::make_shared<const Sequence>(std::move(items), sequence.kind);
}

std::partial_ordering order_items(const Sequence& a, const Sequence& b, Budget& budget) {
  for (size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i) {
    if (!equal(a.items[i], b.items[i], budget)) {
      return order(a.items[i], b.items[i], budget);
    }
  }
  return a.items.size() <=> b.items.size();
}

bool equal_dicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.entries().size() != b.entries().size()) {
    return false;
  }
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const Dict::Entry& entry) {
    const Value* other = b.find(entry.key);
    return other != nullptr && equal(entry.value, *other, budget);
  });
}

bool equal_sequences(const Sequence& a, const Sequence& b, Budget& budget) {
  if (a.kind == SequenceKind::generator || a.kind >= SequenceKind::keys) {
    return &a == &b;
  }
  return a.kind == b.kind && a.items.size() == b.items.size() &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(),
                    [&](const Value& x, const Value& y) { return equal(x, y, budget); });
}

}  // namespace

const Value& defined(const Value& value) {
  if (const Undefined* undefined = value.as_undefined()) {
    fault("{}", *undefined->why);
  }
  return value;
}

const std::string& text_of(const Value& value, std::string_view what) {
  const Text* text = defined(value).as_text();
  if (text == nullptr) {
    fault("{}: expected text, got {}", what, value.type_name());
  }
  if (text->safe) {
    fault("{}: text marked safe can only be printed", what);
  }
  return *text->bytes;
}

int64_t integer_of(const Value& value, std::string_view what) {
  const auto integer = defined(value).as_integer();
  if (!integer) {
    fault("{}: expected an integer, got {}", what, value.type_name());
  }
  return *integer;
}

Value add(const Value& a, const Value& b, Budget& budget) {
  check_operands(a, b);
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    const std::string &left = *a.as_text()->bytes, &right = *b.as_text()->bytes;
    budget.charge_bytes(left.size() + right.size());
    return left + right;
  }
  const Sequence *left = a.as_sequence(), *right = b.as_sequence();
  if (is_list_like(left) && is_list_like(right) && left->kind == right->kind) {
    budget.charge_elements(left->items.size() + right->items.size());
    std::vector<Value> items = left->items;
    items.insert(items.end(), right->items.begin(), right->items.end());
    return std::make_shared<const Sequence>(std::move(items), left->kind);
  }
  return arithmetic(
      "+", a, b, [](int64_t i, int64_t j, int64_t* r) { return __builtin_add_overflow(i, j, r); },
      [](double x, double y) { return x + y; });
}

Value subtract(const Value& a, const Value& b) {
  return arithmetic(
      "-", a, b, [](int64_t i, int64_t j, int64_t* r) { return __builtin_sub_overflow(i, j, r); },
      [](double x, double y) { return x - y; });
}

Value multiply(const Value& a, const Value& b, Budget& budget) {
  check_operands(a, b);
  const auto repeatable = [](const Value& v) {
    return v.as_text() != nullptr || is_list_like(v.as_sequence());
  };
  if (repeatable(a) && b.as_integer()) {
    return repeat(a, *b.as_integer(), budget);
  }
  if (repeatable(b) && a.as_integer()) {
    return repeat(b, *a.as_integer(), budget);
  }
  return arithmetic(
      "*", a, b, [](int64_t i, int64_t j, int64_t* r) { return __builtin_mul_overflow(i, j, r); },
      [](double x, double y) { return x * y; });
}

Value divide(const Value& a, const Value& b) {
  check_operands(a, b);
  const auto i = a.as_integer(), j = b.as_integer();
  if (i && j) {
    nonzero(static_cast<double>(*j));
    return static_cast<double>(static_cast<long double>(*i) / static_cast<long double>(*j));
  }
  const auto x = a.as_number(), y = b.as_number();
  if (!x || !y) {
    no_operator("/", a, b);
  }
  return *x / nonzero(*y);
}

Value floor_divide(const Value& a, const Value& b) {
  return arithmetic("//", a, b, floor_divide_integers, floor_divide_reals);
}

Value modulo(const Value& a, const Value& b) {
  if (defined(a).as_text() != nullptr) {
    fault("operator % on text is not supported");
  }
  return arithmetic("%", a, b, modulo_integers, modulo_reals);
}

Value power(const Value& a, const Value& b) {
  check_operands(a, b);
  const auto i = a.as_integer(), j = b.as_integer();
  if (i && j && *j >= 0) {
    return power_of_integers(*i, *j);
  }
  const auto x = a.as_number(), y = b.as_number();
  if (!x || !y) {
    no_operator("**", a, b);
  }
  if (*x == 0 && *y < 0) {
    fault("0 cannot be raised to a negative power");
  }
  const double result = std::pow(*x, *y);
  if (!std::isfinite(result) && std::isfinite(*x) && std::isfinite(*y)) {
    fault("{} ** {} is no number that a float can hold", *x, *y);
  }
  return result;
}

Value negate(const Value& a) {
  return subtract(a.as_real() != nullptr ? Value(-0.0) : Value(int64_t{0}), a);
}

Value plus(const Value& a) {
  if (!defined(a).as_number()) {
    fault("bad operand type for unary +: '{}'", a.type_name());
  }
  return a.is_boolean() ? Value(*a.as_integer()) : a;
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.charge();
  if (a.as_number() && b.as_number()) {
    return order(a, b, budget) == std::partial_ordering::equivalent;
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    budget.charge_bytes(std::min(a.as_text()->bytes->size(), b.as_text()->bytes->size()));
    return *a.as_text()->bytes == *b.as_text()->bytes;
  }
  if (a.as_sequence() != nullptr && b.as_sequence() != nullptr) {
    return equal_sequences(*a.as_sequence(), *b.as_sequence(), budget);
  }
  if (a.as_dict() != nullptr && b.as_dict() != nullptr) {
    return equal_dicts(*a.as_dict(), *b.as_dict(), budget);
  }
  if (a.as_object() != nullptr && b.as_object() != nullptr) {
    return a.as_object() == b.as_object();
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::partial_ordering order(const Value& a, const Value& b, Budget& budget) {
  budget.charge();
  const auto i = defined(a).as_integer(), j = defined(b).as_integer();
  if (i && j) {
    return *i <=> *j;
  }
  if (a.as_number() && b.as_number()) {
    const auto wide = [](const Value& v) {
      const auto integer = v.as_integer();
      return integer ? static_cast<long double>(*integer) : static_cast<long double>(*v.as_real());
    };
    return wide(a) <=> wide(b);
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    budget.charge_bytes(std::min(a.as_text()->bytes->size(), b.as_text()->bytes->size()));
    return *a.as_text()->bytes <=> *b.as_text()->bytes;
  }
  const Sequence *left = a.as_sequence(), *right = b.as_sequence();
  if (is_list_like(left) && is_list_like(right) && left->kind == right->kind) {
    return order_items(*left, *right, budget);
  }
  fault("'{}' and '{}' have no order", a.type_name(), b.type_name());
}

bool less(const Value& a, const Value& b, Budget& budget) {
  return std::is_lt(order(a, b, budget));
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const Text* text = container.as_text()) {
    budget.charge_bytes(text->bytes->size());
    if (defined(item).as_text() == nullptr) {
      fault("'in' of a text needs a text before it, not '{}'", item.type_name());
    }
    return find(*text->bytes, *item.as_text()->bytes) != std::string::npos;
  }
  if (const Dict* dict = container.as_dict()) {
    return dict->find(item) != nullptr;
  }
  const auto items = iterate(container, budget);
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& other) { return equal(other, item, budget); });
}

std::vector<Value> iterate(const Value& value, Budget& budget) {
  std::vector<Value> items;
  if (value.is_undefined()) {
    return items;
  }
  if (const Sequence* sequence = value.as_sequence()) {
    const size_t taken = sequence->taken;
    budget.charge_elements(sequence->items.size() - taken);
    if (sequence->kind == SequenceKind::generator) {
      sequence->taken = sequence->items.size();
    }
    return {sequence->items.begin() + static_cast<ptrdiff_t>(taken), sequence->items.end()};
  }
  if (const Dict* dict = value.as_dict()) {
    budget.charge_elements(dict->entries().size());
    for (const auto& entry : dict->entries()) {
      items.push_back(entry.key);
    }
    return items;
  }
  const Text* text = value.as_text();
  if (text == nullptr) {
    fault("'{}' object is not iterable", value.type_name());
  }
  budget.charge_elements(4 * text->bytes->size());  // each becomes a text of its own
  for (const auto character : characters(*text->bytes)) {
    items.push_back(Value::text(character));
  }
  return items;
}

int64_t length(const Value& value, Budget& budget) {
  const Sequence* sequence = value.as_sequence();
  if (value.is_undefined()) {
    return 0;
  }
  if (const Text* text = value.as_text()) {
    budget.charge_bytes(text->bytes->size());
    return length_of(*text->bytes);
  }
  if (const Dict* dict = value.as_dict()) {
    return std::ssize(dict->entries());
  }
  if (sequence == nullptr || sequence->kind == SequenceKind::generator) {
    fault("object of type '{}' has no len()", value.type_name());
  }
  return std::ssize(sequence->items);
}

}  // namespace sambay::jinja
