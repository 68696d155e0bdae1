#include "../vec_probe.h"

#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

template <class Function>
void map(const float* x, float* out, int64_t count, Function function) {
  for_lanes(count,
            [&](int64_t i, auto part) { store(out + i, function(load(x + i, part)), part); });
}

void probe_exp(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return exp(a); });
}
void probe_exp2_fraction(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return exp2_fraction(a); });
}
void probe_log(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return log(a); });
}
void probe_log1p(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return log1p(a); });
}
void probe_softplus(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return softplus(a); });
}
void probe_sigmoid(const float* x, float* out, int64_t count) {
  map(x, out, count, [](Vec a) { return sigmoid(a); });
}
void probe_to_bf16(const float* x, Bf16* out, int64_t count) {
  for_lanes(count, [&](int64_t i, auto part) { store(out + i, load(x + i, part), part); });
}
void probe_to_float(const Bf16* x, float* out, int64_t count) {
  for_lanes(count, [&](int64_t i, auto part) { store(out + i, load(x + i, part), part); });
}
float probe_sum(const float* x, int64_t count) {
  Vec total = set1(0.0F);
  for_lanes(count, [&](int64_t i, auto part) { total += load(x + i, part); });
  return sum(total);
}
float probe_max_lane(const float* x) {
  return max_lane(load(x));
}

}  // namespace

extern const VecProbe vec_probe;
const VecProbe vec_probe = {lanes,          probe_exp,      probe_exp2_fraction, probe_log,
                            probe_log1p,    probe_softplus, probe_sigmoid,       probe_to_bf16,
                            probe_to_float, probe_sum,      probe_max_lane};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
