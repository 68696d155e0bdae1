// What rendering may cost, and what goes wrong in it.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sambay::jinja {

// Far beyond what a conversation needs; a hostile template reaches them within seconds and some
// hundred megabytes.
struct Limits {
  int64_t steps = 10'000'000;         // nodes evaluated, elements and 16-byte blocks worked on
  size_t output_bytes = 64UL << 20U;  // of the result, and of each text captured on the way
  int32_t depth = 600;                // of nested evaluations, macros' included
};
inline constexpr size_t template_bytes_limit = 1UL << 20U;
inline constexpr int32_t expression_depth_limit = 200;
inline constexpr int32_t statement_depth_limit = 100;
inline constexpr int32_t value_depth_limit = 100;  // of lists and dicts within each other

// A mistake in a template or in what it was given; the line is known to whoever catches it if it
// is 0. Template turns it into an Error.
class Fault : public std::runtime_error {
 public:
  explicit Fault(const std::string& what, int at = 0) : std::runtime_error(what), line(at) {}
  const int line;
};

template <class... Args>
[[noreturn]] void fault(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault(fmt::format(format, std::forward<Args>(args)...));
}

// A name or value for a message: at most 60 bytes of it, cut between characters.
std::string excerpt(std::string_view text);

// Counts steps; throws Fault when there are too many.
class Budget {
 public:
  explicit Budget(int64_t steps) : left_(steps), all_(steps) {}

  void charge(int64_t steps = 1) {
    left_ -= steps;
    if (left_ < 0) [[unlikely]] {
      exhausted();
    }
  }
  void charge_elements(size_t count) { charge(1 + static_cast<int64_t>(count)); }
  void charge_bytes(size_t count) { charge(1 + static_cast<int64_t>(count / 16)); }

 private:
  [[noreturn]] void exhausted() const;

  int64_t left_, all_;
};

}  // namespace sambay::jinja
