// The matrix product as it is written down. T is double or float; sums are kept in T.
#pragma once

#include <cstdint>

namespace sambay::ops::ref {

// Element (i, j) stands at data[i * row + j * column].
template <class T>
struct MatrixView {
  T* data;
  int64_t row, column;

  // The analyzer takes an optional tensor's null for every tensor's.
  T& at(int64_t i, int64_t j) const {
    return data[i * row + j * column];  // NOLINT(clang-analyzer-core.uninitialized.UndefReturn)
  }
};

template <class T>
struct MatmulArgs {
  int64_t m, n, k;
  MatrixView<const T> a, b;  // (m, k), (k, n)
  MatrixView<T> c;           // (m, n)
  const T* bias = nullptr;   // (n)
  T alpha = 1;
  bool accumulate = false;
};

// c = alpha * a b + bias (+ c)
template <class T>
void matmul(const MatmulArgs<T>& p) {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        sum += p.a.at(i, k) * p.b.at(k, j);
      }
      sum = p.alpha * sum + (p.bias != nullptr ? p.bias[j] : T{0});
      p.c.at(i, j) = p.accumulate ? p.c.at(i, j) + sum : sum;
    }
  }
}

// sums[j] += sum over i of x(i, j)
template <class T>
void column_sums(MatrixView<const T> x, int64_t rows, int64_t columns, T* sums) {
  for (int64_t j = 0; j < columns; ++j) {
    T sum = 0;
    for (int64_t i = 0; i < rows; ++i) {
      sum += x.at(i, j);
    }
    sums[j] += sum;
  }
}

}  // namespace sambay::ops::ref
