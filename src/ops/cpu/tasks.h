// Tasks of very different sizes, each with the scratch memory of whichever thread takes it.
#pragma once

#include <algorithm>
#include <atomic>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace sambay::ops::cpu {

// body(task, scratch) for every task, started in ascending order; scratch is `scratch_floats`
// floats that no other running task uses, with undefined contents. A dry run takes them and runs no
// task.
template <class Body>
void for_each_task(int64_t tasks, int64_t scratch_floats, Arena& arena, Body&& body) {
  const int64_t workers = std::min<int64_t>(tasks, num_threads());
  if (workers == 0) {
    return;
  }
  const Tensor scratch = Tensor::empty({workers, scratch_floats}, DType::f32, arena);
  if (arena.device() == Device::meta) {
    return;
  }
  std::atomic<int64_t> next{0};
  parallel_for(workers, [&](int64_t worker) {
    float* mine = scratch.data<float>() + worker * scratch_floats;
    for (int64_t task = next++; task < tasks; task = next++) {
      body(task, mine);
    }
  });
}

}  // namespace sambay::ops::cpu
