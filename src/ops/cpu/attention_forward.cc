#include "ops/cpu/attention.h"

#include <algorithm>
#include <span>

#include "ops/cpu/attention_blocks.h"
#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/select.h"
#include "ops/cpu/tasks.h"

namespace sambay::ops {

SAMBAY_KERNELS(AttentionForwardKernels, attention_forward_kernels);
SAMBAY_KERNELS(AttentionDecodeKernels, attention_decode_kernels);

namespace cpu {
namespace {

// Where few queries meet many keys, the keys are cut here; where queries are many, they are enough
// to share. A matter of the segment alone, so that the bits depend on nothing else.
constexpr int64_t chunk_keys = 1024;

struct Task {
  int32_t segment, k_head;
  int32_t k_heads;             // 2: with its neighbour, which shares the values
  int64_t block;               // of the segment's lane blocks
  int64_t key_begin, key_end;  // positions
  int32_t chunk, chunks;
  int64_t slot;  // of the first chunk's partial; unused with one chunk
};

class Forward {
 public:
  Forward(const Tensor& q, const Segments& queries, const KvSpans& keys,
          const AttentionOptions& options, const Tensor& out, const Tensor& lse)
      : q_(q),
        queries_(queries),
        keys_(keys),
        options_(options),
        out_(out),
        lse_(lse),
        blocks_(options.map),
        v_dim_(options.map.v_dim()) {}

  void run() {
    Arena& arena = out_.arena();
    int64_t tasks = 0, slots = 0;
    for_each_piece([&](const Task& task) {
      ++tasks;
      slots += task.chunks > 1 ? task.k_heads : 0;
    });
    const Tensor list =
        Tensor::empty({tasks * static_cast<int64_t>(sizeof(Task))}, DType::u8, arena);
    auto* task_list = reinterpret_cast<Task*>(list.raw());
    if (task_list != nullptr) {  // null in a dry run
      int64_t at = 0;
      for_each_piece([&](const Task& task) { task_list[at++] = task; });
    }
    const Tensor partials = Tensor::empty({slots, partial_floats()}, DType::f32, arena);
    float* slot_memory = partials.data<float>();
    const int64_t scratch =
        padded16(std::max(attention_forward_scratch(options_.map.head_dim, v_dim_),
                          attention_decode_scratch(options_.map.head_dim, v_dim_)));

    for_each_task(tasks, scratch + partial_floats(), arena, [&](int64_t i, float* memory) {
      const Task& task = task_list[i];
      float* result = task.chunks > 1 ? slot_memory + (task.slot + task.chunk) * partial_floats()
                                      : memory + scratch;
      if (decodes(task.segment)) {
        decode(task, memory, partial(result));
      } else {
        visit_keys(task, memory, partial(result));
      }
      if (task.chunks == 1) {
        merge(task, partial(result));
      }
    });
    if (slots > 0) {
      for_each_task(tasks, 0, arena, [&](int64_t i, float*) {
        const Task& task = task_list[i];
        if (task.chunks > 1 && task.chunk == 0) {
          merge(task, partial(slot_memory + task.slot * partial_floats()));
        }
      });
    }
  }

 private:
  int64_t partial_floats() const { return attention_lanes * (2 + v_dim_); }
  AttentionPartial partial(float* at) const {
    return {at, at + attention_lanes, at + 2 * attention_lanes};
  }

  bool decodes(int segment) const {
    return queries_.rows(segment) * blocks_.group * (options_.map.paired ? 2 : 1) <= decode_rows;
  }

  template <class Body>
  void for_each_piece(Body body) const {
    int64_t slot = 0;
    for (int s = 0; s < queries_.count(); ++s) {
      const int64_t rows = queries_.rows(s), count = blocks_.count(rows);
      const int64_t past = queries_.past[static_cast<size_t>(s)];
      const int32_t together = options_.map.paired && decodes(s) ? 2 : 1;
      // The last block sees the most keys: it goes first. Heads are innermost: where they lie side
      // by side in memory, one finds in the cache what the hardware fetched beside the other.
      for (int64_t b = count - 1; b >= 0; --b) {
        const LaneBlock block(blocks_, options_.map, 0, rows, b);
        const int64_t first = past + block.first_query;
        const int64_t end = first + block.queries;
        const int64_t begin = std::max<int64_t>(0, first - window_or_all(options_) + 1);
        const int64_t cut = count == 1 ? chunk_keys : end;
        const auto chunks = static_cast<int32_t>((end - 1) / cut - begin / cut + 1);
        for (int32_t c = 0; c < chunks; ++c) {
          const int64_t from = (begin / cut + c) * cut;
          for (int32_t k_head = 0; k_head < options_.map.k_heads; k_head += together) {
            body(Task{s, k_head, together, b, std::max(begin, from), std::min(end, from + cut), c,
                      chunks, slot + k_head * chunks});
          }
        }
        slot += chunks > 1 ? chunks * options_.map.k_heads : 0;
      }
    }
  }

  LaneBlock lanes_of(const Task& task, int64_t k_head) const {
    return {blocks_, options_.map, k_head, queries_.rows(task.segment), task.block};
  }

  QueryBlock block_of(const Task& task, int64_t k_head) const {
    const LaneBlock lanes = lanes_of(task, k_head);
    const auto segment = static_cast<size_t>(task.segment);
    return query_block(q_, lanes, queries_.begin[segment] + lanes.first_query,
                       queries_.past[segment] + lanes.first_query, options_);
  }

  // The segment's spans that hold keys of the task.
  std::span<const KvSpan> spans_of(const Task& task) const {
    const auto segment = static_cast<size_t>(task.segment);
    const auto first = keys_.spans.begin() + keys_.begin[segment];
    const auto last = keys_.spans.begin() + keys_.begin[segment + 1];
    const auto begin = std::partition_point(
        first, last, [&](const KvSpan& span) { return span.first + span.count <= task.key_begin; });
    const auto end = std::partition_point(
        begin, last, [&](const KvSpan& span) { return span.first < task.key_end; });
    return {begin, end};
  }

  KeyRun run_of(const Task& task, const KvSpan& span, int64_t k_head) const {
    return key_run(span, keys_.dtype, options_.map, k_head, task.key_begin, task.key_end);
  }

  void visit_keys(const Task& task, float* memory, const AttentionPartial& result) const {
    const QueryBlock block = block_of(task, task.k_head);
    const AttentionForwardKernels& kernels = attention_forward_kernels();
    kernels.begin(block, memory);
    for (const KvSpan& span : spans_of(task)) {
      kernels.visit(block, run_of(task, span, task.k_head), memory);
    }
    kernels.finish(block, memory, result);
  }

  void decode(const Task& task, float* memory, const AttentionPartial& result) const {
    QueryBlock blocks[2];
    for (int i = 0; i < task.k_heads; ++i) {
      blocks[i] = block_of(task, task.k_head + i);
    }
    const AttentionDecodeKernels& kernels = attention_decode_kernels();
    kernels.begin(blocks, task.k_heads, memory);
    const auto spans = spans_of(task);
    KeyRun runs[2], next[2];
    const auto take_next = [&](size_t i) {
      for (int b = 0; b < task.k_heads; ++b) {
        next[b] = i < spans.size() ? run_of(task, spans[i], task.k_head + b) : KeyRun{};
      }
    };
    take_next(0);
    for (size_t i = 0; i < spans.size(); ++i) {
      std::ranges::copy(next, runs);
      take_next(i + 1);
      kernels.visit(blocks, task.k_heads, runs, next, memory);
    }
    kernels.finish(blocks, task.k_heads, memory, result);
  }

  void merge(const Task& task, const AttentionPartial& from) const {
    const int64_t first_row = queries_.begin[static_cast<size_t>(task.segment)];
    int from_row = 0;
    for (int i = 0; i < task.k_heads; ++i) {
      const LaneBlock lanes = lanes_of(task, task.k_head + i);
      for (int64_t lane = 0; lane < lanes.queries * lanes.heads; ++lane, ++from_row) {
        const int64_t row = first_row + lanes.query(lane), head = lanes.head(lane);
        float* lse = lse_.defined() ? lse_.data<float>() + row * lse_.stride(0) + head : nullptr;
        attention_forward_kernels().merge(from, from_row, task.chunks, partial_floats(), v_dim_,
                                          out_.dtype(), element_mut(out_, row, head), lse);
      }
    }
  }

  const Tensor& q_;
  const Segments& queries_;
  const KvSpans& keys_;
  const AttentionOptions& options_;
  const Tensor& out_;
  const Tensor& lse_;
  LaneBlocks blocks_;
  int64_t v_dim_;
};

}  // namespace

void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  Forward(q, queries, keys, options, out, lse).run();
}

}  // namespace cpu
}  // namespace sambay::ops
