// A typed, strided view of counted storage. No mathematics here.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "tensor/arena.h"
#include "tensor/dtype.h"

namespace sambay {

// Up to four dimensions, outermost first.
class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i < 0 ? i + rank_ : i)]; }
  void set(int i, int64_t size) { dims_[static_cast<size_t>(i < 0 ? i + rank_ : i)] = size; }
  int64_t elements() const;
  bool operator==(const Shape& other) const;
  std::string text() const;  // "(1024, 16)"

 private:
  std::array<int64_t, max_rank> dims_{};
  int rank_ = 0;
};

// Copying a Tensor copies the view, not the elements. The innermost dimension is always contiguous;
// outer dimensions may be strided (a block of columns of a matrix is a Tensor).
class Tensor {
 public:
  Tensor() = default;

  // Uninitialised elements from the arena.
  static Tensor empty(Shape shape, DType dtype, Arena& arena = default_arena(Device::cpu));
  static Tensor zeros(Shape shape, DType dtype, Arena& arena = default_arena(Device::cpu));
  // A view of memory that somebody else owns; `owner`, if given, is kept alive.
  static Tensor borrow(void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner = {},
                       Device device = Device::cpu);
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t elements() const { return shape_.elements(); }
  // Distance between neighbours along dimension i, in elements.
  int64_t stride(int i) const { return strides_[static_cast<size_t>(i < 0 ? i + rank() : i)]; }
  DType dtype() const { return dtype_; }
  Device device() const;
  // Where temporaries beside this tensor belong.
  Arena& arena() const;
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  bool contiguous() const;

  void* raw() const;  // null on Device::meta
  template <class T>
  T* data() const {
    check(DTypeOf<T>::value == dtype_, "a tensor is read as its own dtype");
    return static_cast<T*>(raw());
  }

  // Views. `reshape` needs a contiguous tensor and an equal number of elements.
  Tensor slice(int dim, int64_t begin, int64_t end) const;
  Tensor reshape(Shape shape) const;
  // Splits the innermost dimension: (T, E) -> (T, n, E / n), strided rows allowed.
  Tensor split_last(int64_t parts) const;

  Tensor clone() const;                        // contiguous copy of the elements in arena()
  void copy_from(const Tensor& source) const;  // same shape and dtype; either may be strided
  void zero() const;

 private:
  struct Storage;
  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;
  Shape shape_;
  std::array<int64_t, Shape::max_rank> strides_{};
  DType dtype_ = DType::f32;
};

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  Tensor out = empty(shape, DTypeOf<T>::value);
  check(out.elements() == static_cast<int64_t>(values.size()), "as many values as elements");
  std::copy(values.begin(), values.end(), out.data<T>());
  return out;
}

}  // namespace sambay
