#include "ops/dispatch.h"

#include <array>
#include <string>

namespace sambay::ops {
namespace {

bool matches(const Shape& got, const Shape& expected) {
  if (got.rank() != expected.rank()) {
    return false;
  }
  for (int i = 0; i < got.rank(); ++i) {
    if (expected[i] >= 0 && got[i] != expected[i]) {
      return false;
    }
  }
  return true;
}

double as_double(double x) {
  return x;
}
double as_double(float x) {
  return x;
}
double as_double(Bf16 x) {
  return to_float(x);
}

void assign(double& to, double x) {
  to = x;
}
void assign(float& to, double x) {
  to = static_cast<float>(x);
}
void assign(Bf16& to, double x) {
  to = to_bf16(static_cast<float>(x));
}

template <class From, class To>
void convert_rows(const Tensor& from, const Tensor& to) {
  // Four dimensions always: missing ones in front have size 1.
  std::array<int64_t, 4> size{}, from_stride{}, to_stride{};
  for (int i = 0; i < 4; ++i) {
    const auto at = static_cast<size_t>(i);
    const int dim = i - (4 - from.rank());
    size[at] = dim < 0 ? 1 : from.dim(dim);
    from_stride[at] = dim < 0 ? 0 : from.stride(dim);
    to_stride[at] = dim < 0 ? 0 : to.stride(dim);
  }
  const From* source = from.data<From>();
  To* target = to.data<To>();
  for (int64_t i = 0; i < size[0]; ++i) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t k = 0; k < size[2]; ++k) {
        const From* s = source + i * from_stride[0] + j * from_stride[1] + k * from_stride[2];
        To* t = target + i * to_stride[0] + j * to_stride[1] + k * to_stride[2];
        for (int64_t l = 0; l < size[3]; ++l) {
          assign(t[l], as_double(s[l]));
        }
      }
    }
  }
}

template <class From>
void convert_from(const Tensor& from, const Tensor& to) {
  switch (to.dtype()) {
    case DType::f64:
      return convert_rows<From, double>(from, to);
    case DType::f32:
      return convert_rows<From, float>(from, to);
    case DType::bf16:
      return convert_rows<From, Bf16>(from, to);
    default:
      invariant_broken("only floating-point tensors are converted");
  }
}

}  // namespace

Arena& reference_arena() {
  static Arena& arena = *new Arena(Device::cpu);
  return arena;
}

void expect_shape(std::string_view op, std::string_view field, const Tensor& tensor,
                  const Shape& expected) {
  if (!tensor.defined()) {
    fail(op, "{}: expected {}, got nothing", field, expected.text());
  }
  if (!matches(tensor.shape(), expected)) {
    fail(op, "{}: expected {}, got {}", field, expected.text(), tensor.shape().text());
  }
}

void expect_rank(std::string_view op, std::string_view field, const Tensor& tensor, int rank) {
  if (!tensor.defined() || tensor.rank() != rank) {
    fail(op, "{}: expected {} dimensions, got {}", field, rank,
         tensor.defined() ? tensor.shape().text() : "nothing");
  }
}

void expect_dtype(std::string_view op, std::string_view field, const Tensor& tensor,
                  std::initializer_list<DType> allowed) {
  std::string names;
  for (const DType dtype : allowed) {
    if (tensor.dtype() == dtype) {
      return;
    }
    names += (names.empty() ? "" : " or ") + std::string(name(dtype));
  }
  fail(op, "{}: expected {}, got {}", field, names, name(tensor.dtype()));
}

Rows rows_of(const Tensor& matrix) {
  if (!matrix.defined()) {
    return {};
  }
  return {matrix.raw(), matrix.stride(0), matrix.dtype() == DType::bf16};
}

ConstRows const_rows_of(const Tensor& matrix) {
  const Rows rows = rows_of(matrix);
  return {rows.data, rows.stride, rows.bf16};
}

void convert(const Tensor& from, const Tensor& to) {
  check(from.shape() == to.shape(), "a conversion keeps the shape");
  switch (from.dtype()) {
    case DType::f64:
      return convert_from<double>(from, to);
    case DType::f32:
      return convert_from<float>(from, to);
    case DType::bf16:
      return convert_from<Bf16>(from, to);
    default:
      invariant_broken("only floating-point tensors are converted");
  }
}

}  // namespace sambay::ops
