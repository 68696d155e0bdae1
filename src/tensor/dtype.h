// Element types. Plain data: kernels compiled for special instruction sets include this.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace sambay {

// f64 exists for the reference path alone: gradients are checked against finite differences in it.
// f16 exists in files alone: no kernel computes in it.
enum class DType : uint8_t { f64, f32, bf16, i64, i32, u8, f16 };

constexpr bool is_float(DType type) {
  return type == DType::f64 || type == DType::f32 || type == DType::bf16 || type == DType::f16;
}

constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

constexpr const char* name(DType type) {
  switch (type) {
    case DType::f64:
      return "f64";
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i64:
      return "i64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
    case DType::f16:
      return "f16";
  }
  return "?";
}

// Storage of a bfloat16: the upper half of a float. Arithmetic happens in float.
struct Bf16 {
  uint16_t bits;
};

// Always inlined: a copy compiled for a newer instruction set must never be linked elsewhere.
[[gnu::always_inline]] inline float to_float(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline Bf16 to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return {static_cast<uint16_t>((bits >> 16) | 0x40U)};
  }
  return {static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

// Storage of an IEEE 754 half: 1 sign, 5 exponent and 10 mantissa bits.
struct F16 {
  uint16_t bits;
};

[[gnu::always_inline]] inline float to_float(F16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000U) << 16;
  const uint32_t exponent = x.bits & 0x7c00U, mantissa = x.bits & 0x3ffU;
  uint32_t bits = ((exponent | mantissa) << 13) + (112U << 23);
  bits = exponent == 0x7c00U ? bits | 0x7f800000U : bits;  // infinity, NaN
  // Below the smallest normal half: a whole number of its last place.
  bits = exponent == 0 ? std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24F) : bits;
  return std::bit_cast<float>(bits | sign);
}

// Rounds to nearest, ties to even; what is too large becomes infinite, NaN stays NaN.
[[gnu::always_inline]] inline F16 to_f16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t size = bits & 0x7fffffffU;
  uint32_t half = (size + 0xfffU + ((size >> 13) & 1U) - (112U << 23)) >> 13;
  // Below the smallest normal half: 0.5 has just the last place to round to.
  const uint32_t small =
      std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5F) - std::bit_cast<uint32_t>(0.5F);
  half = size < 0x38800000U ? small : half;
  half = size >= 0x47800000U ? 0x7c00U : half;
  half = size > 0x7f800000U ? 0x7e00U : half;
  return {static_cast<uint16_t>(half | ((bits >> 16) & 0x8000U))};
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<Bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<F16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};

}  // namespace sambay
