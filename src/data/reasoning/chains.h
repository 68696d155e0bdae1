// The worked solutions. Every step depends on what stands just before it: digits are peeled off one
// at a time and what remains is restated, so that no step needs to count positions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sambay::chains {

// "2776+20820: 6+0+0=6 |277+2082 c0 6 |..." ; ends with the sum. a, b >= 0.
std::string addition(int64_t a, int64_t b);
// a >= b >= 0, borrowing.
std::string subtraction(int64_t a, int64_t b);
// Digit by digit of b from the lowest, each taken off what is left of b; partial products are added
// up as they come.
std::string multiplication(int64_t a, int64_t b);
// Long division by repeated subtraction; ends with quotient and remainder.
std::string division(int64_t a, int64_t b);
// start, then each term added (or, when negative, subtracted) in turn, before which those still to
// come are restated.
std::string running_total(int64_t start, const std::vector<int64_t>& terms);

struct LinearSystem {  // a1 x + b1 y = c1, a2 x + b2 y = c2, everything positive
  int64_t a1, b1, c1, a2, b2, c2;
};
// By elimination, with a check at the end. a1 b2 != a2 b1.
std::string linear_system(const LinearSystem& system, int64_t x, int64_t y);

struct CountdownSearch {
  std::string chain;
  std::string expression;  // empty if the search found nothing
};
// Tries pairs in order, with + - * /, the result with what is left; exhaustive for 3 and 4 numbers
// within the rules stated in countdown.cc.
CountdownSearch countdown(const std::vector<int64_t>& numbers, int64_t target);

}  // namespace sambay::chains
