#include "heap_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

void* operator new(size_t bytes) {
  ++allocations;
  if (void* block = std::malloc(bytes == 0 ? 1 : bytes)) {
    return block;
  }
  throw std::bad_alloc();
}

// std::stable_sort asks for its buffer in this way and gives it back to the operator below.
void* operator new(size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void operator delete(void* block) noexcept {
  std::free(block);
}

void operator delete(void* block, size_t /*bytes*/) noexcept {
  std::free(block);
}

namespace sambay::testing {

int64_t heap_allocations() {
  return allocations;
}

}  // namespace sambay::testing
