// Packing of matrix panels for the product kernels: (lane, k) from any strides to (k, lane), with
// neighbours in k side by side where the kernel multiplies pairs.
#pragma once

#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

#if defined(__AVX512F__)
SAMBAY_INLINE __mmask16 mask_of(int64_t count) {
  return count >= lanes ? static_cast<__mmask16>(0xffff)
         : count <= 0   ? static_cast<__mmask16>(0)
                        : first_lanes(static_cast<int>(count));
}
SAMBAY_INLINE __m512i load_halves(const Bf16* p, __mmask16 present) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(present, p));
}
#endif

// How one packed word is made of what stands at (lane, k) and, for pairs, at (lane, k + 1).
struct PackF32 {
  using Source = float;
  using Word = float;
  static constexpr int64_t k_group = 1;
  static Word word(Source first, Source) { return first; }
#if defined(__AVX512F__)
  static __m512i words(const Source* first, const Source*, __mmask16 present) {
    return _mm512_maskz_loadu_epi32(present, first);
  }
  static __m512i load_words(const Source* p, int64_t k) {
    return k >= 16 ? _mm512_loadu_si512(p)
                   : _mm512_maskz_loadu_epi32(static_cast<__mmask16>((1U << k) - 1), p);
  }
#endif
};

struct PackWidened {
  using Source = Bf16;
  using Word = float;
  static constexpr int64_t k_group = 1;
  static Word word(Source first, Source) {
    const uint32_t bits = static_cast<uint32_t>(first.bits) << 16;
    Word wide;
    __builtin_memcpy(&wide, &bits, sizeof wide);
    return wide;
  }
#if defined(__AVX512F__)
  static __m512i words(const Source* first, const Source*, __mmask16 present) {
    return _mm512_slli_epi32(load_halves(first, present), 16);
  }
  static __m512i load_words(const Source* p, int64_t k) {
    const __m256i bits = k >= 16
                             ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
                             : _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1U << k) - 1), p);
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
  }
#endif
};

#if defined(__AVX512BF16__)
struct PackPairs {
  using Source = Bf16;
  using Word = uint32_t;
  static constexpr int64_t k_group = 2;
  static Word word(Source first, Source second) {
    return first.bits | static_cast<uint32_t>(second.bits) << 16;
  }
  static __m512i words(const Source* first, const Source* second, __mmask16 present) {
    const __m512i low = load_halves(first, present);
    return second == nullptr
               ? low
               : _mm512_or_si512(low, _mm512_slli_epi32(load_halves(second, present), 16));
  }
  static __m512i load_words(const Source* p, int64_t k) {
    return k >= 32 ? _mm512_loadu_si512(p)
                   : _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1ULL << k) - 1), p);
  }
};
using PackBf16 = PackPairs;
#else
using PackBf16 = PackWidened;
#endif

// Lanes stand side by side: each packed row is one or two rows of the source.
template <class P>
void pack_lanes(const PackPanel& panel) {
  const auto* source = static_cast<const typename P::Source*>(panel.source);
  auto* out = static_cast<typename P::Word*>(panel.packed);
  for (int64_t k = 0; k < panel.k; k += P::k_group) {
    const auto* first = source + k * panel.k_stride;
    const auto* second = P::k_group == 2 && k + 1 < panel.k ? first + panel.k_stride : nullptr;
#if defined(__AVX512F__)
    for (int64_t lane = 0; lane < panel.width; lane += lanes) {
      const __mmask16 present = mask_of(panel.lanes - lane);
      const __m512i words =
          P::words(first + lane, second == nullptr ? nullptr : second + lane, present);
      _mm512_mask_storeu_epi32(out + lane, mask_of(panel.width - lane), words);
    }
#else
    for (int64_t lane = 0; lane < panel.width; ++lane) {
      out[lane] = lane < panel.lanes ? P::word(first[lane], second == nullptr ? typename P::Source{}
                                                                              : second[lane])
                                     : typename P::Word{};
    }
#endif
    out += panel.width;
  }
}

template <class P>
void pack_any(const PackPanel& panel) {
  const auto* source = static_cast<const typename P::Source*>(panel.source);
  auto* out = static_cast<typename P::Word*>(panel.packed);
  const int64_t groups = (panel.k + P::k_group - 1) / P::k_group;
  for (int64_t lane = 0; lane < panel.width; ++lane) {
    const auto* row = source + lane * panel.lane_stride;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t k = g * P::k_group;
      const bool whole = k + P::k_group <= panel.k;
      const int64_t last = whole ? k + P::k_group - 1 : k;
      out[g * panel.width + lane] =
          lane >= panel.lanes ? typename P::Word{}
                              : P::word(row[k * panel.k_stride],
                                        whole ? row[last * panel.k_stride] : typename P::Source{});
    }
  }
}

#if defined(__AVX512F__)

// Transposes 16 x 16 words in registers: within 128-bit quarters, then the quarters themselves.
inline void transpose_16(__m512i r[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    const __m512i b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]);
    const __m512i d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
    r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

// Each lane's k stand side by side: blocks of 16 lanes by 16 words.
template <class P>
void pack_transposed(const PackPanel& panel) {
  const auto* source = static_cast<const typename P::Source*>(panel.source);
  auto* out = static_cast<typename P::Word*>(panel.packed);
  const int64_t groups = (panel.k + P::k_group - 1) / P::k_group;
  for (int64_t lane = 0; lane < panel.width; lane += 16) {
    const int64_t width = panel.width - lane < 16 ? panel.width - lane : 16;
    const auto lane_mask = static_cast<__mmask16>((1U << width) - 1);
    for (int64_t g = 0; g < groups; g += 16) {
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        r[i] = lane + i < panel.lanes
                   ? P::load_words(source + (lane + i) * panel.lane_stride + g * P::k_group,
                                   panel.k - g * P::k_group)
                   : _mm512_setzero_si512();
      }
      transpose_16(r);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        if (g + i < groups) {
          _mm512_mask_storeu_epi32(out + (g + i) * panel.width + lane, lane_mask, r[i]);
        }
      }
    }
  }
}

#else

template <class P>
void pack_transposed(const PackPanel& panel) {
  pack_any<P>(panel);
}

#endif

template <class P>
void pack(const PackPanel& panel) {
  if (panel.lane_stride == 1) {
    pack_lanes<P>(panel);
  } else if (panel.k_stride == 1) {
    pack_transposed<P>(panel);
  } else {
    pack_any<P>(panel);
  }
}

}  // namespace
}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
