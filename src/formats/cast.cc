#include "formats/cast.h"

#include <atomic>
#include <cmath>
#include <cstring>

#include "base/threads.h"

namespace sambay {
namespace {

// Elements that are worth a thread of their own.
constexpr int64_t grain = 1 << 16;

float as_float(double x) {
  return static_cast<float>(x);
}
float as_float(float x) {
  return x;
}
float as_float(Bf16 x) {
  return to_float(x);
}
float as_float(F16 x) {
  return to_float(x);
}

void assign(double& to, float x) {
  to = x;
}
void assign(float& to, float x) {
  to = x;
}
void assign(Bf16& to, float x) {
  to = to_bf16(x);
}
void assign(F16& to, float x) {
  to = to_f16(x);
}

bool is_finite(double x) {
  return std::isfinite(x);
}
template <class Element>
bool is_finite(Element x) {
  return (std::bit_cast<uint32_t>(as_float(x)) & 0x7f800000U) != 0x7f800000U;
}

template <class From, class To>
bool cast_elements(const Tensor& from, const Tensor& to) {
  const auto* in = from.data<From>();
  auto* out = to.data<To>();
  std::atomic<bool> fits = true;
  parallel_ranges(from.elements(), grain, [&](int64_t begin, int64_t end) {
    unsigned lost = 0;
    for (int64_t i = begin; i < end; ++i) {
      assign(out[i], as_float(in[i]));
      lost |= static_cast<unsigned>(is_finite(in[i])) & static_cast<unsigned>(!is_finite(out[i]));
    }
    if (lost != 0) {
      fits = false;
    }
  });
  return fits;
}

template <class From>
bool cast_from(const Tensor& from, const Tensor& to) {
  switch (to.dtype()) {
    case DType::f64:
      return cast_elements<From, double>(from, to);
    case DType::f32:
      return cast_elements<From, float>(from, to);
    case DType::bf16:
      return cast_elements<From, Bf16>(from, to);
    case DType::f16:
      return cast_elements<From, F16>(from, to);
    default:
      invariant_broken("only floating-point tensors are cast");
  }
}

}  // namespace

bool cast(const Tensor& from, const Tensor& to) {
  check(from.shape() == to.shape() && from.contiguous() && to.contiguous(),
        "a cast keeps the shape, and both tensors are whole");
  if (from.dtype() == to.dtype()) {
    to.copy_from(from);
    return true;
  }
  switch (from.dtype()) {
    case DType::f64:
      return cast_from<double>(from, to);
    case DType::f32:
      return cast_from<float>(from, to);
    case DType::bf16:
      return cast_from<Bf16>(from, to);
    case DType::f16:
      return cast_from<F16>(from, to);
    default:
      invariant_broken("only floating-point tensors are cast");
  }
}

}  // namespace sambay
