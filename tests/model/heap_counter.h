// Counts what this test program takes from the heap.
#pragma once

#include <cstdint>

namespace sambay::testing {

// Calls of operator new so far, of all threads.
int64_t heap_allocations();

}  // namespace sambay::testing
