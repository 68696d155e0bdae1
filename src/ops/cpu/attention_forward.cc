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
SAMBAY_KERNELS(AttentionDecodeKernels, attention_decode_8bit_kernels);

namespace cpu {
namespace {

// Where few queries meet many keys, the keys are cut here; where queries are many, they are enough
// to share. A matter of the segment alone, so that the bits depend on nothing else.
constexpr int64_t chunk_keys = 2048;
constexpr int64_t tasks_per_thread = 4;     // that keep threads evenly busy
constexpr int64_t max_decoding_heads = 32;  // key heads of a task

struct Task {
  int32_t segment, k_head;
  int32_t k_heads;             // from k_head on
  int64_t block;               // of the segment's lane blocks
  int64_t key_begin, key_end;  // positions
  int32_t chunk, chunks;
  int64_t slot;  // of its first key head's first chunk; unused with one chunk
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
        v_dim_(options.map.v_dim()),
        heads_of_decoding_(decoding_heads()) {}

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
    const int64_t decode_scratch = heads_of_decoding_ / options_.map.tile_heads() * decode_floats();
    const int64_t scratch = padded16(
        std::max(attention_forward_scratch(options_.map.head_dim, v_dim_), decode_scratch));

    for_each_task(tasks, scratch + partial_floats(), arena, [&](int64_t i, float* memory) {
      const Task& task = task_list[i];
      // finish(partial) writes the result of a key head, or of the pair that it begins.
      const auto take = [&](int64_t k_head, auto finish) {
        const int64_t slot = task.slot + (k_head - task.k_head) * task.chunks + task.chunk;
        const AttentionPartial result =
            partial(task.chunks > 1 ? slot_memory + slot * partial_floats() : memory + scratch);
        finish(result);
        if (task.chunks == 1) {
          merge(task, k_head, result);
        }
      };
      if (decodes(task.segment)) {
        decode(task, memory, take);
      } else {
        visit_keys(task, memory, take);
      }
    });
    if (slots > 0) {
      for_each_task(tasks * heads_of_decoding_, 0, arena, [&](int64_t i, float*) {
        const Task& task = task_list[i / heads_of_decoding_];
        const int64_t h = i % heads_of_decoding_;
        if (task.chunks > 1 && task.chunk == 0 && h < task.k_heads &&
            h % heads_together(task.segment) == 0) {
          merge(task, task.k_head + h,
                partial(slot_memory + (task.slot + h * task.chunks) * partial_floats()));
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
    return queries_.rows(segment) * blocks_.group * options_.map.tile_heads() <= decode_rows;
  }

  // Key heads that a kernel takes at once: in decoding those that share a tile.
  int64_t heads_together(int segment) const {
    return decodes(segment) ? options_.map.tile_heads() : 1;
  }
  int64_t decode_floats() const {
    return padded16(attention_decode_scratch(options_.map.head_dim, v_dim_));
  }

  // Key heads of a task that decodes: all, so that it reads tiles in the order of memory, unless
  // that makes too few tasks. The bits of a head do not depend on it.
  int64_t decoding_heads() const {
    int64_t chunks = 0;
    for (int s = 0; s < queries_.count(); ++s) {
      const int64_t keys = queries_.past[static_cast<size_t>(s)] + queries_.rows(s);
      chunks += decodes(s) ? std::min(keys, window_or_all(options_)) / chunk_keys + 1 : 0;
    }
    return chunks >= tasks_per_thread * num_threads()
               ? std::min(options_.map.k_heads, max_decoding_heads)
               : options_.map.tile_heads();
  }

  template <class Body>
  void for_each_piece(Body body) const {
    int64_t slot = 0;
    for (int s = 0; s < queries_.count(); ++s) {
      const int64_t rows = queries_.rows(s), count = blocks_.count(rows);
      const int64_t past = queries_.past[static_cast<size_t>(s)];
      const auto together = static_cast<int32_t>(decodes(s) ? heads_of_decoding_ : 1);
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
            body(Task{s, k_head,
                      std::min(together, static_cast<int32_t>(options_.map.k_heads) - k_head), b,
                      std::max(begin, from), std::min(end, from + cut), c, chunks,
                      slot + k_head * chunks});
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
    return key_run(span, keys_.eight_bits ? DType::u8 : keys_.dtype, options_.map, k_head,
                   task.key_begin, task.key_end);
  }

  template <class Take>
  void visit_keys(const Task& task, float* memory, Take take) const {
    const QueryBlock block = block_of(task, task.k_head);
    const AttentionForwardKernels& kernels = attention_forward_kernels();
    kernels.begin(block, memory);
    for (const KvSpan& span : spans_of(task)) {
      kernels.visit(block, run_of(task, span, task.k_head), memory);
    }
    take(task.k_head,
         [&](const AttentionPartial& result) { kernels.finish(block, memory, result); });
  }

  template <class Take>
  void decode(const Task& task, float* memory, Take take) const {
    const AttentionDecodeKernels& kernels =
        keys_.eight_bits ? attention_decode_8bit_kernels() : attention_decode_kernels();
    const auto together = static_cast<int>(options_.map.tile_heads());
    QueryBlock blocks[max_decoding_heads];
    for (int h = 0; h < task.k_heads; ++h) {
      blocks[h] = block_of(task, task.k_head + h);
    }
    // body(h, scratch) for each of what the kernels take at once; h counts from task.k_head.
    const auto for_each_group = [&](auto body) {
      for (int h = 0; h < task.k_heads; h += together) {
        body(h, memory + h / together * decode_floats());
      }
    };
    for_each_group([&](int h, float* scratch) { kernels.begin(blocks + h, together, scratch); });
    KeyRun runs[max_decoding_heads], next[max_decoding_heads];
    const auto spans = spans_of(task);
    const auto take_runs = [&](size_t i, KeyRun* to) {
      for (int h = 0; h < task.k_heads; ++h) {
        to[h] = i < spans.size() ? run_of(task, spans[i], task.k_head + h) : KeyRun{};
      }
    };
    take_runs(0, next);
    for (size_t i = 0; i < spans.size(); ++i) {
      std::copy_n(next, task.k_heads, runs);
      take_runs(i + 1, next);
      for_each_group([&](int h, float* scratch) {
        if (runs[h].tiled) {
          kernels.visit_tiles(blocks + h, together, runs + h, scratch);
        } else {
          kernels.visit(blocks + h, together, runs + h, next + h, scratch);
        }
      });
    }
    for_each_group([&](int h, float* scratch) {
      take(task.k_head + h, [&](const AttentionPartial& result) {
        kernels.finish(blocks + h, together, scratch, result);
      });
    });
  }

  void merge(const Task& task, int64_t k_head, const AttentionPartial& from) const {
    const int64_t first_row = queries_.begin[static_cast<size_t>(task.segment)];
    int from_row = 0;
    for (int i = 0; i < heads_together(task.segment); ++i) {
      const LaneBlock lanes = lanes_of(task, k_head + i);
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
  int64_t heads_of_decoding_;
};

}  // namespace

void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  Forward(q, queries, keys, options, out, lse).run();
}

}  // namespace cpu
}  // namespace sambay::ops
