#include "ops/cost.h"

namespace sambay {
namespace {

thread_local ScopedCostMeter* meter = nullptr;

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  matrix_flops += other.matrix_flops;
  other_flops += other.other_flops;
  weight_bytes += other.weight_bytes;
  state_bytes += other.state_bytes;
  activation_bytes += other.activation_bytes;
  return *this;
}

ScopedCostMeter::ScopedCostMeter(Cost& total) : total_(total), before_(meter) {
  meter = this;
}
ScopedCostMeter::~ScopedCostMeter() {
  meter = before_;
}

void count_cost(const Cost& cost) {
  for (ScopedCostMeter* m = meter; m != nullptr; m = m->before_) {
    m->total_ += cost;
  }
}

bool cost_is_metered() {
  return meter != nullptr;
}

}  // namespace sambay
