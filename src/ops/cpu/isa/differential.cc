#include "ops/cpu/differential_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

// o = a1 - lambda a2 into `o`, and 1 / sqrt(mean(o^2) + eps).
template <class Element>
float difference(const DifferentialRow& row, const Element* a1, const Element* a2, float* o) {
  const Vec minus_lambda = set1(-row.lambda);
  Vec squares = set1(0.0F);
  for_lanes(row.width, [&](int64_t x, auto n) {
    const Vec d = fma(minus_lambda, load(a2 + x, n), load(a1 + x, n));
    store(o + x, d, n);
    squares = fma(d, d, squares);
  });
  return 1.0F / __builtin_sqrtf(sum(squares) / static_cast<float>(row.width) + row.eps);
}

template <class Element>
void forward_row(const DifferentialRow& row, const Element* a1, const Element* a2, float* o,
                 Element* out) {
  const Vec factor = set1(difference(row, a1, a2, o) * row.gain);
  for_lanes(row.width, [&](int64_t x, auto n) {
    store(out + x, load(o + x, n) * factor * load(row.subln + x, n), n);
  });
}

void forward(const DifferentialRow& row, DType dtype, const void* a1, const void* a2, float* o,
             void* out) {
  if (dtype == DType::bf16) {
    forward_row(row, static_cast<const Bf16*>(a1), static_cast<const Bf16*>(a2), o,
                static_cast<Bf16*>(out));
  } else {
    forward_row(row, static_cast<const float*>(a1), static_cast<const float*>(a2), o,
                static_cast<float*>(out));
  }
}

template <class Element>
float backward_row(const DifferentialRow& row, const Element* a1, const Element* a2,
                   const Element* d_out, float* o, float* d_subln, Element* d_a1, Element* d_a2) {
  const float inverse = difference(row, a1, a2, o);
  const Vec gain = set1(row.gain);
  Vec inner = set1(0.0F);
  for_lanes(row.width, [&](int64_t x, auto n) {
    const Vec d_scaled = load(d_out + x, n) * gain;
    const Vec value = load(o + x, n);
    inner = fma(d_scaled * load(row.subln + x, n), value, inner);
    store(d_subln + x, fma(d_scaled * value, set1(inverse), load(d_subln + x, n)), n);
  });
  const Vec pull = set1(sum(inner) * inverse * inverse / static_cast<float>(row.width));
  Vec d_lambda = set1(0.0F);
  for_lanes(row.width, [&](int64_t x, auto n) {
    const Vec d_normed = load(d_out + x, n) * gain * load(row.subln + x, n);
    const Vec d_o = fnma(pull, load(o + x, n), d_normed) * set1(inverse);
    d_lambda = fnma(d_o, load(a2 + x, n), d_lambda);
    store(d_a1 + x, d_o, n);
    store(d_a2 + x, d_o * set1(-row.lambda), n);
  });
  return sum(d_lambda);
}

float backward(const DifferentialRow& row, DType dtype, const void* a1, const void* a2,
               const void* d_out, const DifferentialScratch& scratch, void* d_a1, void* d_a2) {
  if (dtype == DType::bf16) {
    return backward_row(row, static_cast<const Bf16*>(a1), static_cast<const Bf16*>(a2),
                        static_cast<const Bf16*>(d_out), scratch.o, scratch.d_subln,
                        static_cast<Bf16*>(d_a1), static_cast<Bf16*>(d_a2));
  }
  return backward_row(row, static_cast<const float*>(a1), static_cast<const float*>(a2),
                      static_cast<const float*>(d_out), scratch.o, scratch.d_subln,
                      static_cast<float*>(d_a1), static_cast<float*>(d_a2));
}

}  // namespace

extern const DifferentialKernels differential_kernels;
const DifferentialKernels differential_kernels = {forward, backward};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
