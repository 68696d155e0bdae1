#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sambay {
namespace {

// IEEE 754: (-1)^s 2^(e - 15) (1 + m / 1024), or 2^-14 m / 1024 where e is 0.
double definition(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double size = exponent == 0 ? std::ldexp(mantissa, -24)
                      : exponent == 31
                          ? (mantissa == 0 ? std::numeric_limits<double>::infinity() : NAN)
                          : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

TEST(Half, IsReadAsItsDefinitionSays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 half{static_cast<uint16_t>(bits)};
    const double expected = definition(half.bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(to_float(half))) << bits;
      EXPECT_TRUE(std::isnan(to_float(to_f16(to_float(half))))) << bits;
    } else {
      EXPECT_EQ(to_float(half), expected) << bits;
      EXPECT_EQ(to_f16(to_float(half)).bits, bits);
    }
  }
}

TEST(Half, RoundsToNearestAndTiesToEven) {
  for (uint16_t bits = 0; bits < 0x7c00; ++bits) {
    const auto next = static_cast<uint16_t>(bits + 1);
    const double above = next == 0x7c00 ? 65536 : definition(next);
    const auto middle = static_cast<float>((definition(bits) + above) / 2);  // exact
    const uint16_t even = bits % 2 == 0 ? bits : next;
    EXPECT_EQ(to_f16(middle).bits, even) << bits;
    EXPECT_EQ(to_f16(-middle).bits, even | 0x8000) << bits;
    EXPECT_EQ(to_f16(std::nextafter(middle, 0.0F)).bits, bits);
    EXPECT_EQ(to_f16(std::nextafter(middle, 1e9F)).bits, next);
  }
}

TEST(Half, HasNoRoomForLargeNumbers) {
  EXPECT_EQ(to_f16(65504).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30F).bits, 0xfc00);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::infinity()).bits, 0x7c00);
}

}  // namespace
}  // namespace sambay
