#include <fmt/format.h>

#include "base/error.h"
#include "data/reasoning/chains.h"

namespace sambay::chains {
namespace {

struct Peeled {
  int64_t left;
  int64_t digit;
};

Peeled peel(int64_t n) {
  return {n / 10, n % 10};
}

// a times one digit, with `zeros` zeros already at the end of the result.
std::string digit_product(int64_t a, int64_t digit, int zeros) {
  int64_t factor = digit;
  for (int i = 0; i < zeros; ++i) {
    factor *= 10;
  }
  std::string result(static_cast<size_t>(zeros), '0');
  std::string out = fmt::format("{}*{}:", a, factor);
  int64_t left = a, carry = 0;
  while (left > 0) {
    const auto [rest, d] = peel(left);
    const int64_t product = d * digit + carry;
    result.insert(0, std::to_string(product % 10));
    out += fmt::format(" {}*{}+{}={} |{} c{} {} |", d, digit, carry, product, rest, product / 10,
                       result);
    carry = product / 10;
    left = rest;
  }
  return out + std::to_string(a * factor) + "\n";
}

}  // namespace

std::string addition(int64_t a, int64_t b) {
  std::string out = fmt::format("{}+{}:", a, b);
  std::string result;
  int64_t x = a, y = b, carry = 0;
  while (x > 0 || y > 0) {
    const auto [x_rest, i] = peel(x);
    const auto [y_rest, j] = peel(y);
    const int64_t sum = i + j + carry;
    result.insert(0, std::to_string(sum % 10));
    out += fmt::format(" {}+{}+{}={} |{}+{} c{} {} |", i, j, carry, sum, x_rest, y_rest, sum / 10,
                       result);
    carry = sum / 10;
    x = x_rest;
    y = y_rest;
  }
  return out + std::to_string(a + b) + "\n";
}

std::string subtraction(int64_t a, int64_t b) {
  check(a >= b, "a subtraction's result is not negative");
  std::string out = fmt::format("{}-{}:", a, b);
  std::string result;
  int64_t x = a, y = b, borrow = 0;
  while (x > 0) {
    const auto [x_rest, i] = peel(x);
    const auto [y_rest, j] = peel(y);
    const int64_t lent = i - j - borrow < 0 ? 10 : 0;
    const int64_t difference = i - j - borrow + lent;
    result.insert(0, std::to_string(difference));
    out += fmt::format(" {}-{}-{}+{}={} |{}-{} b{} {} |", i, j, borrow, lent, difference, x_rest,
                       y_rest, lent / 10, result);
    borrow = lent / 10;
    x = x_rest;
    y = y_rest;
  }
  return out + std::to_string(a - b) + "\n";
}

std::string multiplication(int64_t a, int64_t b) {
  std::string out;
  int64_t total = 0, left = b, unit = 1;
  for (int zeros = 0; left > 0; ++zeros, unit *= 10) {
    const auto [rest, digit] = peel(left);
    out += fmt::format("take {} of {}, have {}: {} left {}\n", left, unit, total, digit, rest);
    left = rest;
    if (digit == 0) {
      continue;
    }
    out += digit_product(a, digit, zeros);
    const int64_t product = a * digit * unit;
    if (total > 0) {
      out += addition(total, product);
    }
    total += product;
  }
  return out;
}

std::string division(int64_t a, int64_t b) {
  const std::string digits = std::to_string(a);
  std::string out = fmt::format("{}/{}:", a, b);
  std::string quotient;
  int64_t current = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    current = current * 10 + (digits[i] - '0');
    const std::string left = digits.substr(i + 1);
    out += fmt::format(" |{} left {}:", current, left.empty() ? "none" : left);
    int count = 0;
    for (; current >= b; current -= b) {
      out += fmt::format(" {}. {}-{}={}", ++count, current, b, current - b);
    }
    quotient += std::to_string(count);
    out += fmt::format(" {}<{} q{}", current, b, quotient);
  }
  return out + fmt::format(" |quotient {} remainder {}\n", a / b, current);
}

std::string running_total(int64_t start, const std::vector<int64_t>& terms) {
  std::string out;
  int64_t total = start;
  for (size_t i = 0; i < terms.size(); ++i) {
    out += fmt::format("{} then", total);
    for (size_t j = i; j < terms.size(); ++j) {
      out += fmt::format(" {:+}", terms[j]);
    }
    out += "\n";
    out += terms[i] >= 0 ? addition(total, terms[i]) : subtraction(total, -terms[i]);
    total += terms[i];
  }
  return out;
}

}  // namespace sambay::chains
