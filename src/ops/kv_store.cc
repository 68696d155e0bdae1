#include "ops/kv_store.h"

#include <cstddef>
#include <cstring>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/dispatch.h"

namespace sambay::ops {
namespace {

void store_rows(const Tensor& from, const KvTarget& target, int64_t begin, int64_t end, void* to,
                int64_t token_stride, int64_t head_stride) {
  const auto size = static_cast<int64_t>(size_of(from.dtype()));
  const auto head_bytes = static_cast<size_t>(from.dim(2) * size);
  const bool together = from.stride(1) == from.dim(2) && head_stride == from.dim(2);
  const int64_t copies = together ? 1 : from.dim(1);
  const size_t bytes = together ? head_bytes * static_cast<size_t>(from.dim(1)) : head_bytes;
  for (int64_t i = begin; i < end; ++i) {
    const auto* source =
        static_cast<const std::byte*>(from.raw()) + (target.row_begin + i) * from.stride(0) * size;
    auto* destination = static_cast<std::byte*>(to) + i * token_stride * size;
    for (int64_t h = 0; h < copies; ++h) {
      std::memcpy(destination + h * head_stride * size, source + h * from.stride(1) * size, bytes);
    }
  }
}

}  // namespace

void kv_store(const Tensor& k, const Tensor& v, std::span<const KvTarget> targets) {
  expect_rank("kv_store", "k", k, 3);
  expect("kv_store", "v", v, k.shape(), {k.dtype()});
  int64_t rows = 0;
  for (const KvTarget& target : targets) {
    check(target.row_begin >= 0 && target.count >= 0 && target.row_begin + target.count <= k.dim(0),
          "a target takes rows that exist");
    rows += target.count;
  }
  const double bytes =
      static_cast<double>(2 * rows * k.dim(1) * k.dim(2)) * static_cast<double>(size_of(k.dtype()));
  Cost cost;
  cost.activation_bytes = bytes;
  cost.state_bytes = bytes;
  count_cost(cost);
  if (any_meta(k, v)) {
    return;
  }
  // Below this a thread's wake-up costs more than the copy.
  constexpr double bytes_worth_a_thread = 1 << 18;
  const int64_t parts =
      bytes < 2 * bytes_worth_a_thread ? 1 : static_cast<int64_t>(bytes / bytes_worth_a_thread);
  parallel_for(parts, [&](int64_t part) {
    for (const KvTarget& target : targets) {
      const int64_t begin = target.count * part / parts;
      const int64_t end = target.count * (part + 1) / parts;
      store_rows(k, target, begin, end, target.k, target.k_token_stride, target.k_head_stride);
      store_rows(v, target, begin, end, target.v, target.v_token_stride, target.v_head_stride);
    }
  });
}

}  // namespace sambay::ops
