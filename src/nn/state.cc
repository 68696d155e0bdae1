#include "nn/state.h"

#include <algorithm>

namespace sambay {
namespace {

// Tokens that lie next to each other in one buffer, and where: the walk that reading and writing
// share.
struct Run {
  const Tensor* items;  // (heads, tokens, width)
  int64_t row;
  int64_t from, to;
};

template <class Visit>
void for_each_run(const LayerState::Buffer& buffer, int64_t from, int64_t to, Visit visit) {
  const bool ring = buffer.data.defined();
  const int64_t length = ring ? buffer.data.dim(1) : page_tokens;
  while (from < to) {
    const int64_t end = std::min(to, (from / length + 1) * length);
    const auto page = static_cast<size_t>(from / length);
    check(ring || page < buffer.pages.size(), "a token's page exists");
    visit(Run{ring ? &buffer.data : buffer.pages[page].get(), from % length, from, end});
    from = end;
  }
}

void* address(const Run& run) {
  return run.items->slice(1, run.row, run.items->dim(1)).raw();
}

// visit(run of k, run of v): both buffers have the same layout of tokens.
template <class Visit>
void for_each_pair(const LayerState& layer, int k, int v, int64_t from, int64_t to, Visit visit) {
  const auto& k_buffer = layer.buffers[static_cast<size_t>(k)];
  const auto& v_buffer = layer.buffers[static_cast<size_t>(v)];
  for_each_run(k_buffer, from, to, [&](const Run& k_run) {
    for_each_run(v_buffer, k_run.from, k_run.to, [&](const Run& v_run) { visit(k_run, v_run); });
  });
}

}  // namespace

void append_spans(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                  ops::KvSpans& spans) {
  for_each_pair(layer, k, v, from, to, [&](const Run& k_run, const Run& v_run) {
    spans.spans.push_back({address(k_run), address(v_run), v_run.from, v_run.to - v_run.from,
                           k_run.items->stride(1), k_run.items->stride(0), v_run.items->stride(1),
                           v_run.items->stride(0)});
    spans.dtype = k_run.items->dtype();
  });
}

void append_targets(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                    int64_t row_begin, std::vector<ops::KvTarget>& targets) {
  const Tensor& ring = layer.buffers[static_cast<size_t>(k)].data;
  const int64_t first = ring.defined() ? std::max(from, to - ring.dim(1)) : from;
  for_each_pair(layer, k, v, first, to, [&](const Run& k_run, const Run& v_run) {
    targets.push_back({row_begin + v_run.from - from, v_run.to - v_run.from, address(k_run),
                       address(v_run), k_run.items->stride(1), k_run.items->stride(0),
                       v_run.items->stride(1), v_run.items->stride(0)});
  });
}

}  // namespace sambay
