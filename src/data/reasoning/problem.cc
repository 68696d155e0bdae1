#include "data/reasoning/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "data/reasoning/chains.h"

namespace sambay {
namespace {

uint64_t mixed(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

bool in_test_share(std::span<const int64_t> values) {
  uint64_t h = 0;
  for (const int64_t v : values) {
    h = mixed(h * 31 + static_cast<uint64_t>(v) + 1);
  }
  return h % 10 == 0;
}

constexpr int64_t first_dealt_number = 100;

bool number_fits(int64_t n, ProblemSplit split) {
  return n < first_dealt_number || in_test_share(std::array{n}) == (split == ProblemSplit::test);
}

bool tuple_fits(std::span<const int64_t> values, ProblemSplit split) {
  return in_test_share(values) == (split == ProblemSplit::test);
}

int64_t between(Rng& rng, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(rng.below(static_cast<uint64_t>(high - low + 1)));
}

int64_t power_of_ten(int exponent) {
  int64_t p = 1;
  for (int i = 0; i < exponent; ++i) {
    p *= 10;
  }
  return p;
}

// A number of the split with so many digits.
int64_t number_with(Rng& rng, int digits, ProblemSplit split) {
  for (;;) {
    const int64_t n =
        between(rng, digits == 1 ? 2 : power_of_ten(digits - 1), power_of_ten(digits) - 1);
    if (number_fits(n, split)) {
      return n;
    }
  }
}

template <size_t N>
const char* one_of(Rng& rng, const std::array<const char*, N>& choices) {
  return choices[rng.below(N)];
}

Problem multiplication(int level, ProblemSplit split, Rng& rng) {
  constexpr std::array<std::array<int, 2>, highest_level> digits = {
      {{3, 1}, {3, 2}, {3, 3}, {4, 4}}};
  const auto [a_digits, b_digits] = digits[static_cast<size_t>(level - 1)];
  const int64_t a = number_with(rng, a_digits, split), b = number_with(rng, b_digits, split);
  const char* text =
      one_of(rng, std::array{"What is {0} times {1}?", "Multiply {0} by {1}.", "Compute {0} * {1}.",
                             "What is the product of {0} and {1}?",
                             "A box holds {0} pens. How many pens are in {1} boxes?",
                             "A ticket costs {0} coins. What do {1} tickets cost?"});
  Problem p;
  p.operands = {a, b};
  p.question = fmt::format(fmt::runtime(text), a, b);
  p.chain = chains::multiplication(a, b);
  p.answer = std::to_string(a * b);
  return p;
}

Problem division(int level, ProblemSplit split, Rng& rng) {
  constexpr std::array<int, highest_level> dividend_digits = {3, 4, 5, 7};
  constexpr std::array<int64_t, highest_level> divisor_low = {2, 6, 11, 11},
                                               divisor_high = {9, 20, 40, 60};
  const auto l = static_cast<size_t>(level - 1);
  const int64_t a = number_with(rng, dividend_digits[l], split);
  const int64_t b = between(rng, divisor_low[l], divisor_high[l]);
  const char* text = one_of(
      rng,
      std::array{
          "Divide {0} by {1} and give the remainder.",
          "What is {0} divided by {1}, with remainder?",
          "Share {0} coins among {1} people. How many does each get, and how many are left?",
          "How many times does {1} go into {0}, and what remains?",
          "Pack {0} eggs in boxes of {1}. How many boxes are full, and how many eggs remain?"});
  Problem p;
  p.operands = {a, b};
  p.question = fmt::format(fmt::runtime(text), a, b);
  p.chain = chains::division(a, b);
  p.answer = fmt::format("{} remainder {}", a / b, a % b);
  return p;
}

Problem sums(int level, ProblemSplit split, Rng& rng) {
  constexpr std::array<int, highest_level> term_count = {2, 3, 4, 5}, digits = {3, 4, 5, 6};
  const auto l = static_cast<size_t>(level - 1);
  const int64_t start = number_with(rng, digits[l], split);
  std::vector<int64_t> terms;
  int64_t total = start;
  Problem p;
  p.operands = {start};
  const bool stamps = rng.below(2) == 0;
  p.question = fmt::format(fmt::runtime(stamps ? "Ann has {} stamps." : "Start with {}."), start);
  for (int i = 0; i < term_count[l]; ++i) {
    int64_t term =
        number_with(rng, static_cast<int>(between(rng, digits[l] - 1, digits[l])), split);
    p.operands.push_back(term);
    if (rng.below(2) == 0 && term <= total) {
      term = -term;
    }
    const char* plus = stamps ? " She buys {} more." : " Add {}.";
    const char* minus = stamps ? " She gives away {}." : " Take away {}.";
    p.question += fmt::format(fmt::runtime(term < 0 ? minus : plus), std::abs(term));
    terms.push_back(term);
    total += term;
  }
  p.question += stamps ? " How many does she have now?" : " What is the result?";
  p.chain = chains::running_total(start, terms);
  p.answer = std::to_string(total);
  return p;
}

Problem equations(int level, ProblemSplit split, Rng& rng) {
  constexpr std::array<int64_t, highest_level> largest_coefficient = {4, 5, 5, 9},
                                               largest_solution = {9, 9, 10, 20};
  constexpr std::array<int64_t, highest_level> largest_constant = {99, 99, 99, 999};
  const auto l = static_cast<size_t>(level - 1);
  for (;;) {
    const auto coefficient = [&] { return between(rng, 1, largest_coefficient[l]); };
    chains::LinearSystem s{coefficient(), coefficient(), 0, coefficient(), coefficient(), 0};
    const int64_t x = between(rng, 1, largest_solution[l]),
                  y = between(rng, 1, largest_solution[l]);
    s.c1 = s.a1 * x + s.b1 * y;
    s.c2 = s.a2 * x + s.b2 * y;
    const std::array operands = {s.a1, s.b1, s.c1, s.a2, s.b2, s.c2};
    if (s.a1 * s.b2 == s.a2 * s.b1 || std::max(s.c1, s.c2) > largest_constant[l] ||
        !tuple_fits(operands, split)) {
      continue;
    }
    const char* text =
        one_of(rng, std::array{"Solve {0}x+{1}y={2} and {3}x+{4}y={5}.",
                               "Find x and y: {0}x+{1}y={2}, {3}x+{4}y={5}.",
                               "Which x and y satisfy {0}x+{1}y={2} and {3}x+{4}y={5}?"});
    Problem p;
    p.operands.assign(operands.begin(), operands.end());
    p.question = fmt::format(fmt::runtime(text), s.a1, s.b1, s.c1, s.a2, s.b2, s.c2);
    p.chain = chains::linear_system(s, x, y);
    p.answer = fmt::format("x={} y={}", x, y);
    return p;
  }
}

Problem countdown(int level, ProblemSplit split, Rng& rng) {
  constexpr std::array<int, highest_level> count = {3, 3, 3, 4};
  constexpr std::array<int64_t, highest_level> largest_number = {9, 10, 12, 12};
  constexpr int64_t largest_target = 200;
  const auto l = static_cast<size_t>(level - 1);
  for (;;) {
    std::vector<int64_t> numbers;
    for (int i = 0; i < count[l]; ++i) {
      numbers.push_back(between(rng, 1, largest_number[l]));
    }
    auto multiset = numbers;
    std::sort(multiset.begin(), multiset.end());
    if (!tuple_fits(multiset, split)) {
      continue;
    }
    const int64_t target = between(rng, 1, largest_target);
    const auto search = chains::countdown(numbers, target);
    // Random targets are mostly found at once: longer searches are kept with a probability that
    // grows with their length, so that all depths of the search are practised.
    constexpr uint64_t always_kept = 500, longest = 6000;
    const uint64_t length = search.chain.size();
    if (search.expression.empty() || length > longest || rng.below(always_kept) >= length) {
      continue;
    }
    std::string list;
    for (const int64_t n : numbers) {
      list += (list.empty() ? "" : ", ") + std::to_string(n);
    }
    const char* text =
        one_of(rng, std::array{"Make {1} from the numbers {0}, each used once.",
                               "Use {0} once each with + - * / to reach {1}.",
                               "Countdown: the numbers are {0}, the target is {1}."});
    Problem p;
    p.operands = numbers;
    p.operands.push_back(target);
    p.question = fmt::format(fmt::runtime(text), list, target);
    p.chain = search.chain;
    p.answer = search.expression;
    return p;
  }
}

// One kind a row: what it is called, how it is made, its share of a drawn set.
struct KindRow {
  ProblemKind kind;
  const char* name;
  Problem (*make)(int level, ProblemSplit split, Rng& rng);
  int weight;
};
constexpr std::array kind_table = {
    KindRow{ProblemKind::multiplication, "multiplication", multiplication, 5},
    KindRow{ProblemKind::division, "division", division, 4},
    KindRow{ProblemKind::sums, "sums", sums, 5},
    KindRow{ProblemKind::equations, "equations", equations, 4},
    KindRow{ProblemKind::countdown, "countdown", countdown, 5},
};
constexpr std::array level_weights = {2, 3, 6};
static_assert(level_weights.size() == trained_levels);

// Index drawn by weight.
template <class Weight>
size_t weighted(Rng& rng, size_t count, Weight weight) {
  int total = 0;
  for (size_t i = 0; i < count; ++i) {
    total += weight(i);
  }
  auto at = static_cast<int>(rng.below(static_cast<uint64_t>(total)));
  size_t i = 0;
  while (at >= weight(i)) {
    at -= weight(i++);
  }
  return i;
}

}  // namespace

Problem make_problem(ProblemKind kind, int level, ProblemSplit split, Rng& rng) {
  check(level >= 1 && level <= highest_level, "a problem's level exists");
  const KindRow& row = kind_table[static_cast<size_t>(kind)];
  Problem problem = row.make(level, split, rng);
  problem.kind = kind;
  problem.level = level;
  problem.chain += "Answer: " + problem.answer;
  return problem;
}

Problem draw_problem(ProblemSplit split, Rng& rng) {
  const size_t kind =
      weighted(rng, kind_table.size(), [](size_t i) { return kind_table[i].weight; });
  const size_t level =
      weighted(rng, level_weights.size(), [](size_t i) { return level_weights[i]; });
  return make_problem(kind_table[kind].kind, static_cast<int>(level) + 1, split, rng);
}

const char* name(ProblemKind kind) {
  return kind_table[static_cast<size_t>(kind)].name;
}

const std::vector<ProblemKind>& problem_kinds() {
  static const std::vector<ProblemKind> kinds = [] {
    std::vector<ProblemKind> all;
    for (const KindRow& row : kind_table) {
      all.push_back(row.kind);
    }
    return all;
  }();
  return kinds;
}

}  // namespace sambay
