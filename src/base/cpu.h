// What this CPU can do, and which instruction set the kernels use.
#pragma once

#include <string_view>
#include <vector>

namespace sambay {

// Ordered: each level includes those before it. `reference` is the scalar oracle in ops/ref.
enum class Isa { reference, portable, avx2, avx512, avx512bf16, amx };

std::string_view name(Isa isa);

// The level in use: the best one that CPU and operating system offer, or what SAMBAY_ISA names.
// Throws Error if SAMBAY_ISA names an unknown level or one that this CPU lacks.
Isa isa();

// Every level that runs here, reference first: tests loop over it.
std::vector<Isa> available_isas();

// Forces a level for the life of the object. For tests and benchmarks; not thread-safe.
class ScopedIsa {
 public:
  explicit ScopedIsa(Isa level);
  ~ScopedIsa();
  ScopedIsa(const ScopedIsa&) = delete;
  ScopedIsa& operator=(const ScopedIsa&) = delete;

 private:
  Isa before_;
};

}  // namespace sambay
