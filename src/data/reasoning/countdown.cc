// The search: take two numbers, larger first, apply + - * / in this order, and go on with the
// result and the numbers left over. A product is tried only while the larger factor is at most 12,
// a quotient only where it is exact; what is not tried is marked x. These rules bound the size of
// every single step.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "data/reasoning/chains.h"

namespace sambay::chains {
namespace {

constexpr int64_t largest_factor = 12;

struct Term {
  int64_t value;
  std::string expression;
};

std::optional<int64_t> apply(char op, int64_t a, int64_t b) {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a <= largest_factor ? std::optional(a * b) : std::nullopt;
    default:
      return b != 0 && a % b == 0 ? std::optional(a / b) : std::nullopt;
  }
}

class Search {
 public:
  explicit Search(int64_t target) : target_(target) {}

  // True when the target was reached; expression is then set.
  bool run(const std::vector<Term>& terms) {
    if (terms.size() == 2) {
      return last_two(terms[0], terms[1]);
    }
    for (size_t i = 0; i < terms.size(); ++i) {
      for (size_t j = i + 1; j < terms.size(); ++j) {
        if (pair(terms, i, j)) {
          return true;
        }
      }
    }
    return false;
  }

  std::string chain, expression;

 private:
  bool pair(const std::vector<Term>& terms, size_t i, size_t j) {
    const Term& a = terms[i].value >= terms[j].value ? terms[i] : terms[j];
    const Term& b = &a == &terms[i] ? terms[j] : terms[i];
    std::vector<Term> rest;
    for (size_t k = 0; k < terms.size(); ++k) {
      if (k != i && k != j) {
        rest.push_back(terms[k]);
      }
    }
    for (const char op : {'+', '-', '*', '/'}) {
      const auto value = apply(op, a.value, b.value);
      if (!value) {
        chain += fmt::format("{}{}{} x\n", a.value, op, b.value);
        continue;
      }
      chain += fmt::format("{}{}{}={} with", a.value, op, b.value, *value);
      for (const Term& t : rest) {
        chain += fmt::format(" {}", t.value);
      }
      chain += rest.size() == 1 ? ":" : "\n";
      std::vector<Term> next = {{*value, fmt::format("({}{}{})", a.expression, op, b.expression)}};
      next.insert(next.end(), rest.begin(), rest.end());
      if (run(next)) {
        return true;
      }
    }
    return false;
  }

  bool last_two(const Term& first, const Term& second) {
    const Term& a = first.value >= second.value ? first : second;
    const Term& b = &a == &first ? second : first;
    for (const char op : {'+', '-', '*', '/'}) {
      const auto value = apply(op, a.value, b.value);
      if (!value) {
        chain += fmt::format(" {}{}{} x", a.value, op, b.value);
        continue;
      }
      chain += fmt::format(" {}{}{}={}", a.value, op, b.value, *value);
      if (*value == target_) {
        expression = fmt::format("{}{}{}", a.expression, op, b.expression);
        chain += " yes\n";
        return true;
      }
    }
    chain += " no\n";
    return false;
  }

  int64_t target_;
};

}  // namespace

CountdownSearch countdown(const std::vector<int64_t>& numbers, int64_t target) {
  std::vector<Term> terms;
  for (const int64_t n : numbers) {
    terms.push_back({n, std::to_string(n)});
  }
  Search search(target);
  search.chain = fmt::format("target {}\n", target);
  const bool found = search.run(terms);
  return {search.chain, found ? search.expression : ""};
}

}  // namespace sambay::chains
