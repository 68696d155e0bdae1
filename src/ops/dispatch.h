// What the dispatchers of the ops share: checks, and the reference on tensors of any dtype.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpu.h"
#include "ops/cpu/rows.h"
#include "tensor/tensor.h"

namespace sambay::ops {

// Each throws Error "[op] field: expected ..., got ...". Sizes of -1 match anything.
void expect_shape(std::string_view op, std::string_view field, const Tensor& tensor,
                  const Shape& expected);
void expect_rank(std::string_view op, std::string_view field, const Tensor& tensor, int rank);
void expect_dtype(std::string_view op, std::string_view field, const Tensor& tensor,
                  std::initializer_list<DType> allowed);
inline void expect(std::string_view op, std::string_view field, const Tensor& tensor,
                   const Shape& shape, std::initializer_list<DType> allowed) {
  expect_shape(op, field, tensor, shape);
  expect_dtype(op, field, tensor, allowed);
}

// The dtype of parameters, states and statistics beside data of this dtype: f64 for f64, else f32.
constexpr DType master_dtype(DType data) {
  return data == DType::f64 ? DType::f64 : DType::f32;
}

template <class... Tensors>
bool any_meta(const Tensors&... tensors) {
  return ((tensors.defined() && tensors.device() == Device::meta) || ...);
}

// The references do all f64, and everything at their own level.
inline bool runs_reference(DType dtype) {
  return dtype == DType::f64 || isa() == Isa::reference;
}

// A dry run takes from the arena what the real run would. The references take nothing: such an op
// ends here. Kernels take their scratch memory first and look for Device::meta then.
template <class... Tensors>
bool dry_reference(DType dtype, const Tensors&... tensors) {
  return runs_reference(dtype) && any_meta(tensors...);
}

// How many of an op's states there are: null stands for none, but on Device::meta for any.
inline double count_states(std::span<void* const> states, bool dry) {
  return static_cast<double>(
      dry ? static_cast<std::ptrdiff_t>(states.size())
          : std::ranges::count_if(states, [](void* s) { return s != nullptr; }));
}

// Bytes of the elements of all the tensors; undefined ones have none.
template <class... Tensors>
double bytes_of(const Tensors&... tensors) {
  return ((tensors.defined() ? static_cast<double>(tensors.bytes()) : 0.0) + ...);
}

// The kernels' view of a matrix (rank 2) of f32 or bf16; no rows for an undefined tensor.
Rows rows_of(const Tensor& matrix);
ConstRows const_rows_of(const Tensor& matrix);

// to = from, element by element, between any two of f64, f32, bf16. Same shape, any strides.
void convert(const Tensor& from, const Tensor& to);

// Where the references' temporaries are: an oracle is not to count in anybody's memory.
Arena& reference_arena();

// Contiguous tensors of Real (float or double) in the place of an op's operands while its reference
// runs. `out` operands start with what the tensor holds, so that results may be added to, and are
// written back by finish().
template <class Real>
class Staging {
 public:
  // Null for an undefined tensor.
  const Real* in(const Tensor& tensor) { return tensor.defined() ? stage(tensor) : nullptr; }
  Real* out(const Tensor& tensor) {
    if (!tensor.defined()) {
      return nullptr;
    }
    Real* data = stage(tensor);
    results_.emplace_back(temporaries_.back(), tensor);
    return data;
  }
  void finish() const {
    for (const auto& [from, to] : results_) {
      convert(from, to);
    }
  }

 private:
  Real* stage(const Tensor& tensor) {
    temporaries_.push_back(Tensor::empty(tensor.shape(), DTypeOf<Real>::value, reference_arena()));
    convert(tensor, temporaries_.back());
    return temporaries_.back().template data<Real>();
  }

  std::vector<Tensor> temporaries_;
  std::vector<std::pair<Tensor, Tensor>> results_;
};

// Runs body(Staging<double>&) for f64, body(Staging<float>&) otherwise, and writes the results
// back.
template <class Body>
void run_reference(DType dtype, Body&& body) {
  if (dtype == DType::f64) {
    Staging<double> staging;
    body(staging);
    staging.finish();
  } else {
    Staging<float> staging;
    body(staging);
    staging.finish();
  }
}

}  // namespace sambay::ops
