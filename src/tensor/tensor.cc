#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

namespace sambay {

Shape::Shape(std::initializer_list<int64_t> dims)
    : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  check(dims.size() <= max_rank, "a shape has at most four dimensions");
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) {
    product *= (*this)[i];
  }
  return product;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ &&
         std::equal(dims_.begin(), dims_.begin() + rank_, other.dims_.begin());
}

std::string Shape::text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) {
    out += (i > 0 ? ", " : "") + std::to_string((*this)[i]);
  }
  return out + ")";
}

struct Tensor::Storage {
  std::byte* data = nullptr;
  Arena* arena = nullptr;  // null: borrowed
  Device device = Device::cpu;
  std::shared_ptr<const void> owner;

  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() {
    if (arena != nullptr) {
      arena->release(data);
    }
  }
};

namespace {

std::array<int64_t, Shape::max_rank> contiguous_strides(const Shape& shape) {
  std::array<int64_t, Shape::max_rank> strides{};
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[static_cast<size_t>(i)] = stride;
    stride *= shape[i];
  }
  return strides;
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Arena& arena) {
  Tensor out;
  out.shape_ = shape;
  out.dtype_ = dtype;
  out.strides_ = contiguous_strides(shape);
  out.storage_ = std::make_shared<Storage>();
  out.storage_->data = static_cast<std::byte*>(arena.allocate(out.bytes()));
  out.storage_->arena = &arena;
  out.storage_->device = arena.device();
  return out;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Arena& arena) {
  Tensor out = empty(shape, dtype, arena);
  out.zero();
  return out;
}

Tensor Tensor::borrow(void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner,
                      Device device) {
  Tensor out;
  out.shape_ = shape;
  out.dtype_ = dtype;
  out.strides_ = contiguous_strides(shape);
  out.storage_ = std::make_shared<Storage>();
  out.storage_->data = static_cast<std::byte*>(data);
  out.storage_->device = device;
  out.storage_->owner = std::move(owner);
  return out;
}

Device Tensor::device() const {
  return storage_ ? storage_->device : Device::cpu;
}

Arena& Tensor::arena() const {
  return storage_ && storage_->arena != nullptr ? *storage_->arena : default_arena(device());
}

bool Tensor::contiguous() const {
  int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[static_cast<size_t>(i)] != stride) {
      return false;
    }
    stride *= shape_[i];
  }
  return true;
}

void* Tensor::raw() const {
  if (!storage_ || storage_->device == Device::meta) {
    return nullptr;
  }
  return storage_->data + offset_ * static_cast<int64_t>(size_of(dtype_));
}

Tensor Tensor::slice(int dim, int64_t begin, int64_t end) const {
  check(0 <= begin && begin <= end && end <= shape_[dim], "a slice lies within its dimension");
  Tensor out = *this;
  out.shape_.set(dim, end - begin);
  out.offset_ += begin * stride(dim);
  return out;
}

Tensor Tensor::reshape(Shape shape) const {
  check(contiguous(), "only a contiguous tensor is reshaped");
  check(shape.elements() == elements(), "a reshape keeps the number of elements");
  Tensor out = *this;
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  return out;
}

Tensor Tensor::split_last(int64_t parts) const {
  check(rank() < Shape::max_rank && shape_[-1] % parts == 0, "the last dimension splits evenly");
  Tensor out = *this;
  std::array<int64_t, Shape::max_rank> dims{};
  for (int i = 0; i < rank(); ++i) {
    dims[static_cast<size_t>(i)] = shape_[i];
  }
  const auto last = static_cast<size_t>(rank() - 1);
  dims[last] = parts;
  dims[last + 1] = shape_[-1] / parts;
  out.shape_ = Shape(std::span<const int64_t>(dims.data(), last + 2));
  out.strides_[last] = dims[last + 1];
  out.strides_[last + 1] = 1;
  return out;
}

Tensor Tensor::clone() const {
  Tensor out = empty(shape_, dtype_, arena());
  out.copy_from(*this);
  return out;
}

namespace {

// Calls row(index of the innermost row's start in a, in b) for two equally shaped tensors.
template <class Row>
void for_each_row(const Tensor& a, const Tensor& b, Row row) {
  const int outer = a.rank() - 1;
  std::array<int64_t, Shape::max_rank> at{};
  const int64_t rows = a.rank() == 0 ? 1 : a.elements() / std::max<int64_t>(1, a.dim(-1));
  for (int64_t i = 0; i < rows; ++i) {
    int64_t from_a = 0, from_b = 0;
    for (int d = 0; d < outer; ++d) {
      from_a += at[static_cast<size_t>(d)] * a.stride(d);
      from_b += at[static_cast<size_t>(d)] * b.stride(d);
    }
    row(from_a, from_b);
    for (int d = outer - 1; d >= 0; --d) {
      if (++at[static_cast<size_t>(d)] < a.dim(d)) {
        break;
      }
      at[static_cast<size_t>(d)] = 0;
    }
  }
}

}  // namespace

void Tensor::copy_from(const Tensor& source) const {
  check(shape_ == source.shape_ && dtype_ == source.dtype_, "a copy keeps shape and dtype");
  if (device() == Device::meta || source.device() == Device::meta || elements() == 0) {
    return;
  }
  const auto size = static_cast<int64_t>(size_of(dtype_));
  auto* to = static_cast<std::byte*>(raw());
  const auto* from = static_cast<const std::byte*>(source.raw());
  if (contiguous() && source.contiguous()) {
    std::memcpy(to, from, bytes());
    return;
  }
  const auto row_bytes = static_cast<size_t>(dim(-1) * size);
  for_each_row(*this, source, [&](int64_t a, int64_t b) {
    std::memcpy(to + a * size, from + b * size, row_bytes);
  });
}

void Tensor::zero() const {
  if (device() == Device::meta || elements() == 0) {
    return;
  }
  if (contiguous()) {
    std::memset(raw(), 0, bytes());
    return;
  }
  const auto size = static_cast<int64_t>(size_of(dtype_));
  auto* to = static_cast<std::byte*>(raw());
  const auto row_bytes = static_cast<size_t>(dim(-1) * size);
  for_each_row(*this, *this, [&](int64_t a, int64_t) { std::memset(to + a * size, 0, row_bytes); });
}

}  // namespace sambay
