#include <algorithm>
#include <cctype>
#include <optional>

#include "data/reasoning/problem.h"

namespace sambay {
namespace {

// Exact arithmetic on integers: + - * / with parentheses; a quotient must be exact.
class Expression {
 public:
  explicit Expression(std::string_view text) : text_(text) {}

  std::optional<int64_t> value() {
    const auto result = sum();
    return at_ == text_.size() ? result : std::nullopt;
  }
  const std::vector<int64_t>& numbers() const { return numbers_; }

 private:
  bool take(char c) {
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }

  std::optional<int64_t> sum() {
    auto left = product();
    while (left) {
      const bool plus = take('+');
      if (!plus && !take('-')) {
        break;
      }
      const auto right = product();
      left = right ? bounded(plus ? *left + *right : *left - *right) : std::nullopt;
    }
    return left;
  }

  std::optional<int64_t> product() {
    auto left = atom();
    while (left) {
      const bool times = take('*');
      if (!times && !take('/')) {
        break;
      }
      const auto right = atom();
      if (!right || (!times && (*right == 0 || *left % *right != 0))) {
        return std::nullopt;
      }
      left = bounded(times ? *left * *right : *left / *right);
    }
    return left;
  }

  std::optional<int64_t> atom() {
    constexpr int deepest = 32;
    if (take('(')) {
      if (++depth_ > deepest) {
        return std::nullopt;
      }
      const auto inside = sum();
      --depth_;
      return take(')') ? inside : std::nullopt;
    }
    const size_t from = at_;
    int64_t n = 0;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 &&
           at_ - from < 9) {
      n = n * 10 + (text_[at_++] - '0');
    }
    if (at_ == from) {
      return std::nullopt;
    }
    numbers_.push_back(n);
    return n;
  }

  // Products of two values below the limit stay in range.
  static std::optional<int64_t> bounded(int64_t v) {
    constexpr int64_t root = int64_t{1} << 31;
    return v > -root && v < root ? std::optional(v) : std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  std::vector<int64_t> numbers_;
};

bool is_part(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("+-*/()").find(c) != std::string_view::npos;
}

// Every "expression=number" and "number<number" in the text, parted by anything else. Letters make
// it an equation in unknowns, which is not judged here.
void count_steps(std::string_view text, Judgement& judgement) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=' && text[i] != '<') {
      continue;
    }
    size_t from = i, to = i + 1;
    while (from > 0 && is_part(text[from - 1])) {
      --from;
    }
    while (to < text.size() && std::isdigit(static_cast<unsigned char>(text[to])) != 0) {
      ++to;
    }
    const bool unknown =
        from > 0 && (std::isalpha(static_cast<unsigned char>(text[from - 1])) != 0);
    if (unknown || from == i || to == i + 1) {
      continue;
    }
    const auto left = Expression(text.substr(from, i - from)).value();
    const auto right = Expression(text.substr(i + 1, to - i - 1)).value();
    const bool holds = left && right && (text[i] == '=' ? *left == *right : *left < *right);
    ++judgement.steps;
    judgement.wrong_steps += holds ? 0 : 1;
  }
}

std::string_view final_answer(std::string_view response) {
  constexpr std::string_view mark = "Answer: ";
  const auto at = response.rfind(mark);
  if (at == std::string_view::npos) {
    return {};
  }
  auto answer = response.substr(at + mark.size());
  answer = answer.substr(0, answer.find('\n'));
  while (!answer.empty() && (answer.back() == ' ' || answer.back() == '.')) {
    answer.remove_suffix(1);
  }
  return answer;
}

bool solves_countdown(const Problem& problem, std::string_view answer) {
  Expression expression(answer);
  const auto value = expression.value();
  auto used = expression.numbers();
  auto given = problem.operands;
  const int64_t target = given.back();
  given.pop_back();
  std::sort(used.begin(), used.end());
  std::sort(given.begin(), given.end());
  return value == target && used == given;
}

}  // namespace

Judgement judge(const Problem& problem, std::string_view response) {
  Judgement judgement;
  const auto answer = final_answer(response);
  judgement.correct = problem.kind == ProblemKind::countdown ? solves_countdown(problem, answer)
                                                             : answer == problem.answer;
  count_steps(response, judgement);
  return judgement;
}

}  // namespace sambay
