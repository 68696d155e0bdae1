#include <fmt/format.h>

#include <array>
#include <utility>

#include "data/reasoning/chains.h"

namespace sambay::chains {
namespace {

using Row = std::array<int64_t, 3>;  // a x + b y = c

std::string text(const Row& row) {
  return fmt::format("{}x+{}y={}", row[0], row[1], row[2]);
}

Row scaled(const Row& row, int64_t factor, std::string& out) {
  const Row result = {row[0] * factor, row[1] * factor, row[2] * factor};
  out += fmt::format("{} times {}: {}*{}={} {}*{}={} {}*{}={} |{}\n", text(row), factor, row[0],
                     factor, result[0], row[1], factor, result[1], row[2], factor, result[2],
                     text(result));
  return result;
}

}  // namespace

std::string linear_system(const LinearSystem& s, int64_t x, int64_t y) {
  const Row first = {s.a1, s.b1, s.c1}, second = {s.a2, s.b2, s.c2};
  std::string out;
  Row low = scaled(first, s.a2, out), high = scaled(second, s.a1, out);
  if (high[1] < low[1]) {
    std::swap(low, high);
  }
  const int64_t b = high[1] - low[1], c = high[2] - low[2];
  out += fmt::format("{} minus {}: {}-{}={} {}-{}={} |{}y={}\n", text(high), text(low), high[1],
                     low[1], b, high[2], low[2], c, b, c);
  out += fmt::format("y: {}/{}={}\n", c, b, y);
  out += fmt::format("{} with y={}: {}*{}={} {}-{}={} |{}x={}\n", text(first), y, s.b1, y, s.b1 * y,
                     s.c1, s.b1 * y, s.a1 * x, s.a1, s.a1 * x);
  out += fmt::format("x: {}/{}={}\n", s.a1 * x, s.a1, x);
  out += fmt::format("check {}: {}*{}={} {}*{}={} {}+{}={} yes\n", text(second), s.a2, x, s.a2 * x,
                     s.b2, y, s.b2 * y, s.a2 * x, s.b2 * y, s.c2);
  return out;
}

}  // namespace sambay::chains
