#include <thread>

#include "ops/cpu/attention.h"
#include "ops/cpu/attention_blocks.h"
#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/select.h"
#include "ops/cpu/tasks.h"

namespace sambay::ops {

SAMBAY_KERNELS(AttentionBackwardKernels, attention_backward_kernels);

namespace cpu {
namespace {

// A block of queries that shares a key head.
struct QueryTask {
  int32_t segment, k_head;
  int64_t block;
};

// 64 rows of a segment's keys and values: of one key head, or of a pair.
struct KeyTask {
  int32_t segment, v_head;
  int64_t key_block;
  int64_t record;  // of the segment's first block of queries and the first of the key heads
};

// One task owns d_k and d_v of a block of keys. d_q of a block of queries is added to by several
// tasks, which take turns from the latest keys to the earliest: so the order of the sum is fixed.
// Tasks start in that order too, and each begins at its own latest keys' queries, so that nobody
// waits long, and never for a task that has not started.
class Backward {
 public:
  Backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
           const Segments& tokens, const AttentionOptions& options, const Tensor& out,
           const Tensor& lse, const Tensor& d_out, const AttentionGradients& gradients)
      : q_(q),
        k_(k),
        v_(v),
        queries_(queries),
        tokens_(tokens),
        options_(options),
        out_(out),
        lse_(lse),
        d_out_(d_out),
        gradients_(gradients),
        map_(options.map),
        blocks_(options.map) {}

  void run() {
    const AttentionBackwardKernels& kernels = attention_backward_kernels();
    Arena& arena = gradients_.d_q.arena();
    int64_t record_count = 0, key_count = 0;
    for_each_query_task([&](const QueryTask&) { ++record_count; });
    for_each_key_task([&](const KeyTask&) { ++key_count; });
    const Tensor query_list = list<QueryTask>(record_count, arena);
    const Tensor key_list = list<KeyTask>(key_count, arena);
    const Tensor turns = Tensor::empty({record_count}, DType::i32, arena);
    QueryBlock shape;
    shape.dtype = q_.dtype();
    shape.head_dim = map_.head_dim;
    shape.v_dim = map_.v_dim();
    record_floats_ = kernels.record_floats(shape);
    const int64_t scratch = kernels.scratch_floats(shape);
    const Tensor records = Tensor::empty({record_count, record_floats_}, DType::f32, arena);
    auto* query_tasks = reinterpret_cast<QueryTask*>(query_list.raw());
    auto* key_tasks = reinterpret_cast<KeyTask*>(key_list.raw());
    turns_ = turns.data<int32_t>();
    records_ = records.data<float>();
    if (query_tasks != nullptr) {  // null in a dry run
      list_tasks(query_tasks, key_tasks);
    }
    for_each_task(record_count, scratch, arena, [&](int64_t i, float* memory) {
      kernels.prepare(block_of(query_tasks[i]), gradients_of(query_tasks[i]), record(i), memory);
    });
    for_each_task(key_count, scratch, arena,
                  [&](int64_t i, float* memory) { run_keys(key_tasks[i], memory); });
  }

 private:
  template <class Item>
  static Tensor list(int64_t count, Arena& arena) {
    return Tensor::empty({count * static_cast<int64_t>(sizeof(Item))}, DType::u8, arena);
  }

  void list_tasks(QueryTask* query_tasks, KeyTask* key_tasks) {
    int64_t at = 0;
    for_each_query_task([&](const QueryTask& task) {
      turns_[at] = static_cast<int32_t>(key_blocks_of(task).last);
      query_tasks[at++] = task;
    });
    at = 0;
    for_each_key_task([&](const KeyTask& task) { key_tasks[at++] = task; });
  }

  float* record(int64_t i) const { return records_ + i * record_floats_; }
  int key_heads() const { return map_.paired ? 2 : 1; }

  template <class Body>
  void for_each_query_task(Body body) const {
    for (int s = 0; s < queries_.count(); ++s) {
      for (int64_t k_head = 0; k_head < map_.k_heads; ++k_head) {
        for (int64_t b = 0; b < blocks_.count(queries_.rows(s)); ++b) {
          body(QueryTask{s, static_cast<int32_t>(k_head), b});
        }
      }
    }
  }

  template <class Body>
  void for_each_key_task(Body body) const {
    int64_t record = 0;
    for (int s = 0; s < tokens_.count(); ++s) {
      const int64_t key_blocks = (tokens_.rows(s) + attention_keys - 1) / attention_keys;
      for (int64_t v_head = 0; v_head < map_.v_heads(); ++v_head) {
        for (int64_t b = key_blocks - 1; b >= 0; --b) {
          body(KeyTask{s, static_cast<int32_t>(v_head), b, record});
        }
        record += key_heads() * blocks_.count(queries_.rows(s));
      }
    }
  }

  struct KeyBlocks {
    int64_t first, last;
  };

  // The blocks of keys that the block's queries see.
  KeyBlocks key_blocks_of(const QueryTask& task) const {
    const LaneBlock lanes = lanes_of(task);
    const int64_t row =
        tokens_.rows(task.segment) - queries_.rows(task.segment) + lanes.first_query;
    return {std::max<int64_t>(0, row + 1 - window_or_all(options_)) / attention_keys,
            (row + lanes.queries - 1) / attention_keys};
  }

  LaneBlock lanes_of(const QueryTask& task) const {
    return {blocks_, map_, task.k_head, queries_.rows(task.segment), task.block};
  }

  QueryBlock block_of(const QueryTask& task) const {
    const LaneBlock lanes = lanes_of(task);
    const auto segment = static_cast<size_t>(task.segment);
    return query_block(q_, lanes, queries_.begin[segment] + lanes.first_query,
                       queries_.past[segment] + lanes.first_query, options_);
  }

  BlockGradients gradients_of(const QueryTask& task) const {
    const LaneBlock lanes = lanes_of(task);
    const int64_t row = queries_.begin[static_cast<size_t>(task.segment)] + lanes.first_query;
    BlockGradients g;
    g.out = element(out_, row, lanes.first_head);
    g.out_stride = out_.stride(0);
    g.out_head_stride = out_.stride(1) * lanes.head_step;
    g.d_out = element(d_out_, row, lanes.first_head);
    g.d_out_stride = d_out_.stride(0);
    g.d_out_head_stride = d_out_.stride(1) * lanes.head_step;
    g.lse = lse_.data<float>() + row * lse_.stride(0) + lanes.first_head;
    g.lse_stride = lse_.stride(0);
    g.lse_head_stride = lanes.head_step;
    g.d_q = element_mut(gradients_.d_q, row, lanes.first_head);
    g.d_q_stride = gradients_.d_q.stride(0);
    g.d_q_head_stride = gradients_.d_q.stride(1) * lanes.head_step;
    return g;
  }

  KeyRun keys_of(const KeyTask& task, int64_t k_head) const {
    const auto segment = static_cast<size_t>(task.segment);
    const int64_t begin = task.key_block * attention_keys, row = tokens_.begin[segment] + begin;
    KeyRun run;
    run.k = element(k_, row, k_head);
    run.v = element(v_, row, first_v_head(map_, k_head));
    run.k_stride = k_.stride(0);
    run.v_stride = v_.stride(0);
    run.v_half_stride = v_.stride(1);
    run.first = tokens_.past[segment] + begin;
    run.count = std::min<int64_t>(attention_keys, tokens_.rows(task.segment) - begin);
    return run;
  }

  void run_keys(const KeyTask& task, float* scratch) const {
    const AttentionBackwardKernels& kernels = attention_backward_kernels();
    const int64_t query_blocks = blocks_.count(queries_.rows(task.segment));
    QueryBlock block;
    block.dtype = q_.dtype();
    block.scale = options_.scale;
    block.head_dim = map_.head_dim;
    block.v_dim = map_.v_dim();
    for (int i = 0; i < key_heads(); ++i) {
      const auto k_head = static_cast<int32_t>(task.v_head * key_heads() + i);
      const KeyRun run = keys_of(task, k_head);
      kernels.begin_keys(block, run, i == 0, scratch);
      for (int64_t b = 0; b < query_blocks; ++b) {
        visit({task.segment, k_head, b}, task.record + i * query_blocks + b, task.key_block, run,
              scratch);
      }
      const int64_t row =
          tokens_.begin[static_cast<size_t>(task.segment)] + task.key_block * attention_keys;
      KeyGradients to;
      to.d_k = element_mut(gradients_.d_k, row, k_head);
      to.d_k_stride = gradients_.d_k.stride(0);
      if (i + 1 == key_heads()) {
        to.d_v = element_mut(gradients_.d_v, row, first_v_head(map_, k_head));
        to.d_v_stride = gradients_.d_v.stride(0);
        to.d_v_half_stride = gradients_.d_v.stride(1);
      }
      kernels.store_keys(block, static_cast<int>(run.count), scratch, to);
    }
  }

  void visit(const QueryTask& task, int64_t index, int64_t key_block, const KeyRun& run,
             float* scratch) const {
    const KeyBlocks seen = key_blocks_of(task);
    if (key_block < seen.first || key_block > seen.last) {
      return;
    }
    const AttentionBackwardKernels& kernels = attention_backward_kernels();
    const QueryBlock block = block_of(task);
    const std::atomic_ref<int32_t> turn(turns_[index]);
    constexpr int spins = 1000;
    for (int i = 0; turn.load(std::memory_order_acquire) != key_block; ++i) {
      if (i > spins) {
        std::this_thread::yield();
      }
    }
    kernels.visit(block, run, record(index), scratch);
    if (key_block == seen.first) {
      kernels.store_queries(block, record(index), gradients_of(task), scratch);
    }
    turn.store(static_cast<int32_t>(key_block) - 1, std::memory_order_release);
  }

  const Tensor &q_, &k_, &v_;
  const Segments &queries_, &tokens_;
  const AttentionOptions& options_;
  const Tensor &out_, &lse_, &d_out_;
  const AttentionGradients& gradients_;
  const HeadMap& map_;
  LaneBlocks blocks_;
  int32_t* turns_ = nullptr;
  float* records_ = nullptr;
  int64_t record_floats_ = 0;
};

}  // namespace

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients) {
  Backward(q, k, v, queries, tokens, options, out, lse, d_out, gradients).run();
}

}  // namespace cpu
}  // namespace sambay::ops
