#include <gtest/gtest.h>

#include <set>

#include "data/reasoning/chains.h"
#include "data/reasoning/problem.h"

namespace sambay {
namespace {

TEST(ReasoningProblems, EveryChainIsRightInEveryStepAndSolvesItsProblem) {
  Rng rng(7);
  for (const ProblemKind kind : problem_kinds()) {
    for (int level = 1; level <= highest_level; ++level) {
      for (int i = 0; i < 30; ++i) {
        const Problem problem = make_problem(kind, level, ProblemSplit::train, rng);
        const Judgement judgement = judge(problem, problem.chain);
        ASSERT_TRUE(judgement.correct) << problem.question << "\n" << problem.chain;
        ASSERT_EQ(judgement.wrong_steps, 0) << problem.chain;
        ASSERT_GE(judgement.steps, 2) << problem.chain;
      }
    }
  }
}

TEST(ReasoningProblems, TrainAndTestShareNoOperands) {
  Rng rng(8);
  std::set<int64_t> train_numbers;
  std::set<std::multiset<int64_t>> train_tuples;
  const auto tuple_of = [](const Problem& p) {
    const auto drop = p.kind == ProblemKind::countdown ? 1 : 0;  // the target
    return std::multiset<int64_t>(p.operands.begin(), p.operands.end() - drop);
  };
  const auto by_numbers = [](const Problem& p) {
    return p.kind != ProblemKind::equations && p.kind != ProblemKind::countdown;
  };
  for (int i = 0; i < 5000; ++i) {
    const Problem p = draw_problem(ProblemSplit::train, rng);
    if (by_numbers(p)) {
      train_numbers.insert(p.operands.begin(), p.operands.end());
    } else if (p.kind == ProblemKind::countdown) {
      train_tuples.insert(tuple_of(p));
    }
  }
  for (int i = 0; i < 2000; ++i) {
    const Problem p = draw_problem(ProblemSplit::test, rng);
    if (by_numbers(p)) {
      for (const int64_t n : p.operands) {
        ASSERT_TRUE(n < 100 || !train_numbers.contains(n)) << n;
      }
    } else if (p.kind == ProblemKind::countdown) {
      ASSERT_FALSE(train_tuples.contains(tuple_of(p))) << p.question;
    }
  }
}

TEST(ReasoningProblems, TheSameSeedGivesTheSameProblems) {
  Rng a(3), b(3), c(4);
  int different = 0;
  for (int i = 0; i < 50; ++i) {
    const Problem p = draw_problem(ProblemSplit::train, a),
                  q = draw_problem(ProblemSplit::train, b);
    EXPECT_EQ(p.question, q.question);
    EXPECT_EQ(p.chain, q.chain);
    different += draw_problem(ProblemSplit::train, c).question != p.question ? 1 : 0;
  }
  EXPECT_GT(different, 40);
}

TEST(ReasoningJudge, RejectsWrongAnswersAndCountsWrongSteps) {
  Problem p;
  p.kind = ProblemKind::multiplication;
  p.answer = "92996";
  EXPECT_TRUE(judge(p, "2*3=6\nAnswer: 92996").correct);
  EXPECT_TRUE(judge(p, "Answer: 1\nAnswer: 92996.\n").correct);
  EXPECT_FALSE(judge(p, "92996").correct);
  EXPECT_FALSE(judge(p, "Answer: 92997").correct);
  const Judgement j = judge(p, "7*8+5=61 |34 c6 1 | 4<3 2+2=5 6/4=1 3x+2y=9 9/0=0");
  EXPECT_EQ(j.steps, 5);
  EXPECT_EQ(j.wrong_steps, 4);
}

TEST(ReasoningJudge, ACountdownAnswerMustUseEachNumberOnce) {
  Problem p;
  p.kind = ProblemKind::countdown;
  p.operands = {8, 5, 3, 39};
  EXPECT_TRUE(judge(p, "Answer: (8+5)*3").correct);
  EXPECT_TRUE(judge(p, "Answer: 3*(5+8)").correct);
  EXPECT_FALSE(judge(p, "Answer: 39").correct);
  EXPECT_FALSE(judge(p, "Answer: 3*(5+8)*1").correct);
  EXPECT_FALSE(judge(p, "Answer: (8+5)*3+").correct);
  EXPECT_FALSE(judge(p, "Answer: " + std::string(100'000, '(')).correct);
}

TEST(ReasoningChains, PeelDigitsAndRestateWhatRemains) {
  EXPECT_EQ(chains::addition(58, 7), "58+7: 8+7+0=15 |5+0 c1 5 | 5+0+1=6 |0+0 c0 65 |65\n");
  EXPECT_EQ(chains::subtraction(52, 7), "52-7: 2-7-0+10=5 |5-0 b1 5 | 5-0-1+0=4 |0-0 b0 45 |45\n");
  EXPECT_EQ(chains::division(45, 7),
            "45/7: |4 left 5: 4<7 q0 |45 left none: 1. 45-7=38 2. 38-7=31 3. "
            "31-7=24 4. 24-7=17 5. 17-7=10 6. 10-7=3 3<7 q06 |quotient 6 remainder 3\n");
}

}  // namespace
}  // namespace sambay
