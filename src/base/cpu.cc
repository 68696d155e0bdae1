#include "base/cpu.h"

#include <array>
#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace sambay {
namespace {

constexpr std::array all_levels = {Isa::reference, Isa::portable,   Isa::avx2,
                                   Isa::avx512,    Isa::avx512bf16, Isa::amx};

#if defined(__x86_64__)
bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 5)) != 0;
}

// Linux hands out the tile registers only to processes that ask for them.
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
    return false;
  }
  constexpr unsigned amx_bf16 = 1U << 22, amx_tile = 1U << 24;
  if ((d & amx_bf16) == 0 || (d & amx_tile) == 0) {
    return false;
  }
  constexpr long arch_req_xcomp_perm = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, arch_req_xcomp_perm, tile_data) == 0;
}

Isa detect() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx2) {
    return Isa::portable;
  }
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!avx512) {
    return Isa::avx2;
  }
  if (!has_avx512_bf16() || !__builtin_cpu_supports("avx512vnni")) {
    return Isa::avx512;
  }
  return has_amx() ? Isa::amx : Isa::avx512bf16;
}
#else
Isa detect() {
  return Isa::portable;
}
#endif

Isa best() {
  static const Isa level = detect();
  return level;
}

Isa choose() {
  const char* wanted = std::getenv("SAMBAY_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    return best();
  }
  for (const Isa level : all_levels) {
    if (name(level) == wanted) {
      if (level > best()) {
        fail("SAMBAY_ISA", "\"{}\": this CPU offers {} at most", wanted, name(best()));
      }
      return level;
    }
  }
  fail("SAMBAY_ISA", "\"{}\": expected reference, portable, avx2, avx512, avx512bf16 or amx",
       wanted);
}

Isa& current() {
  static Isa level = choose();
  return level;
}

}  // namespace

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::reference:
      return "reference";
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512bf16:
      return "avx512bf16";
    case Isa::amx:
      return "amx";
  }
  return "?";
}

Isa isa() {
  return current();
}

std::vector<Isa> available_isas() {
  std::vector<Isa> levels;
  for (const Isa level : all_levels) {
    if (level <= best()) {
      levels.push_back(level);
    }
  }
  return levels;
}

ScopedIsa::ScopedIsa(Isa level) : before_(current()) {
  check(level <= best(), "a forced instruction set runs on this CPU");
  current() = level;
}

ScopedIsa::~ScopedIsa() {
  current() = before_;
}

}  // namespace sambay
