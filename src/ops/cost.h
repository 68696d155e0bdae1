// What the work must cost: each op adds its operations and bytes to the meter in force.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sambay {

// Multiplications and additions counted one each; bytes as if every operand were read once and
// every result written once. On Device::meta nothing else happens: a dry run is a price list.
struct Cost {
  double matrix_flops = 0;  // matmul and attention products: what the matrix peak bounds
  double other_flops = 0;   // scans, norms, activations; an exponential counts as one
  double weight_bytes = 0;  // parameters read
  double state_bytes = 0;   // KV cache, windows, recurrent states read and written
  double activation_bytes = 0;

  double flops() const { return matrix_flops + other_flops; }
  double bytes() const { return weight_bytes + state_bytes + activation_bytes; }
  Cost& operator+=(const Cost& other);
};

// Adds the costs of the ops that this thread calls during its life to `total`. Nests: a cost
// goes to the outer meters too.
class ScopedCostMeter {
 public:
  explicit ScopedCostMeter(Cost& total);
  ~ScopedCostMeter();
  ScopedCostMeter(const ScopedCostMeter&) = delete;
  ScopedCostMeter& operator=(const ScopedCostMeter&) = delete;

 private:
  friend void count_cost(const Cost& cost);
  Cost& total_;
  ScopedCostMeter* before_;
};

// Called by every op once per call; costs nothing when no meter is in force.
void count_cost(const Cost& cost);
bool cost_is_metered();

}  // namespace sambay
