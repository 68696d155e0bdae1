// How a dispatcher finds the kernels of the instruction set in use.
#pragma once

#include "base/cpu.h"
#include "base/error.h"

// SAMBAY_KERNELS(ScanKernels, scan_kernels); in namespace sambay::ops defines
//   const ScanKernels& scan_kernels();
// which returns the table `scan_kernels` that cpu/isa/*.cc defines once in each level's namespace.
// Isa::reference has no table: the dispatcher runs ref/ before it asks.
#if SAMBAY_X86
#define SAMBAY_KERNELS(Type, table)                       \
  namespace portable {                                    \
  extern const Type table;                                \
  }                                                       \
  namespace avx2 {                                        \
  extern const Type table;                                \
  }                                                       \
  namespace avx512 {                                      \
  extern const Type table;                                \
  }                                                       \
  namespace avx512bf16 {                                  \
  extern const Type table;                                \
  }                                                       \
  [[maybe_unused]] static const Type& table() {           \
    switch (isa()) {                                      \
      case Isa::reference:                                \
        break;                                            \
      case Isa::portable:                                 \
        return portable::table;                           \
      case Isa::avx2:                                     \
        return avx2::table;                               \
      case Isa::avx512:                                   \
        return avx512::table;                             \
      case Isa::avx512bf16:                               \
      case Isa::amx:                                      \
        return avx512bf16::table;                         \
    }                                                     \
    invariant_broken("the reference level has no table"); \
  }                                                       \
  static_assert(true)
#else
#define SAMBAY_KERNELS(Type, table)             \
  namespace portable {                          \
  extern const Type table;                      \
  }                                             \
  [[maybe_unused]] static const Type& table() { \
    return portable::table;                     \
  }                                             \
  static_assert(true)
#endif
