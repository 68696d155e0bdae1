// Random numbers that are a function of (seed, stream, position) alone: Philox4x32-10, Salmon et
// al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The same bits with every compiler.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sambay {

// All there is to save in a checkpoint.
struct RngState {
  uint64_t seed = 0;
  uint64_t stream = 0;
  uint64_t position = 0;  // 64-bit words drawn so far

  bool operator==(const RngState&) const = default;
};

class Rng {
 public:
  // Streams of one seed are independent: give each parameter, worker or document its own, and the
  // order in which they are drawn does not matter.
  explicit Rng(uint64_t seed, uint64_t stream = 0) : Rng(RngState{seed, stream, 0}) {}
  // The stream that belongs to a name, such as a parameter's.
  Rng(uint64_t seed, std::string_view name);
  explicit Rng(const RngState& state);

  const RngState& state() const { return state_; }

  uint64_t next_u64();
  double uniform();            // [0, 1), 53 bits
  float uniform_float();       // [0, 1), 24 bits
  uint64_t below(uint64_t n);  // [0, n) without bias; n > 0
  double normal();             // mean 0, variance 1

 private:
  RngState state_;
  std::array<uint64_t, 2> block_{};  // of which position / 2 is the counter
};

// One block of Philox4x32-10.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

}  // namespace sambay
