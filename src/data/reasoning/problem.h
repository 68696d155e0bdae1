// Reasoning problems whose solutions are long chains of small steps that a program can verify.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace sambay {

enum class ProblemKind : uint8_t { multiplication, division, sums, equations, countdown };

inline constexpr int trained_levels = 3;  // a model is trained on levels 1 to 3
inline constexpr int highest_level = 4;   // one step beyond

struct Problem {
  ProblemKind kind = ProblemKind::multiplication;
  int level = 1;
  std::vector<int64_t> operands;
  std::string question;  // plain English
  std::string chain;     // the worked solution; its last line is "Answer: ..."
  std::string answer;
};

// Train and test problems share no operands: of the integers from 100 on, one in ten (by a hash)
// occurs in test problems only and the others in training problems only; where all operands are
// smaller, the whole tuple (equations) or multiset (countdown) is dealt out in the same way.
enum class ProblemSplit : uint8_t { train, test };

// Level 1 to highest_level. The same generator state gives the same problem.
Problem make_problem(ProblemKind kind, int level, ProblemSplit split, Rng& rng);

// Kind and level drawn with the recipe's weights (harder levels more often), levels 1 to
// trained_levels.
Problem draw_problem(ProblemSplit split, Rng& rng);

struct Judgement {
  bool correct = false;  // the answer solves the problem
  int steps = 0;         // equations and comparisons stated in the response
  int wrong_steps = 0;   // of which do not hold
};
// Judges a response by its last "Answer: " line: numbers must be equal, a countdown expression must
// use each number once and give the target.
Judgement judge(const Problem& problem, std::string_view response);

const char* name(ProblemKind kind);
const std::vector<ProblemKind>& problem_kinds();

}  // namespace sambay
