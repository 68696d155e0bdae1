// One pool of threads for all kernels: fork, join, and nothing else.
#pragma once

#include <cstdint>
#include <type_traits>

namespace sambay {

// Number of threads that parallel_for uses: the CPUs this process may run on, or SAMBAY_THREADS.
int num_threads();

// Changes the number of threads. Not while a parallel_for runs. Throws Error if count < 1.
void set_num_threads(int count);

namespace detail {
void run_parallel(int64_t tasks, void (*call)(void*, int64_t), void* context);
}

// Calls body(i) for each i in [0, tasks), on the pool and on the caller; returns when all are done.
// Tasks are handed out in order but may run anywhere: a result must not depend on which thread ran
// a task. Nested calls run serially. When a body throws, no further task starts, and what the
// first one threw is thrown again here.
template <class Body>
void parallel_for(int64_t tasks, Body&& body) {
  auto call = [](void* context, int64_t i) {
    (*static_cast<std::remove_reference_t<Body>*>(context))(i);
  };
  detail::run_parallel(tasks, call, const_cast<void*>(static_cast<const void*>(&body)));
}

// Splits [0, count) into one contiguous range a thread, each a multiple of `grain` but the last,
// and calls body(begin, end) for each. The split depends on count, grain and num_threads() only.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) {
    return;
  }
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t parts = grains < num_threads() ? grains : num_threads();
  parallel_for(parts, [&](int64_t part) {
    const int64_t begin = grains * part / parts * grain;
    const int64_t end = grains * (part + 1) / parts * grain;
    body(begin, end < count ? end : count);
  });
}

}  // namespace sambay
