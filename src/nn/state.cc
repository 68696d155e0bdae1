#include "nn/state.h"

#include <algorithm>

namespace sambay {
namespace {

// visit(begin, end) for the runs that [from, to) is cut into at multiples of `length`.
template <class Visit>
void for_each_run(int64_t from, int64_t to, int64_t length, Visit visit) {
  while (from < to) {
    const int64_t end = std::min(to, (from / length + 1) * length);
    visit(from, end);
    from = end;
  }
}

const Tensor& ring_of(const LayerState& layer, int buffer) {
  return layer.buffers[static_cast<size_t>(buffer)].data;
}

// A ring's memory from token p on.
void* slot(const Tensor& ring, int64_t p) {
  return ring.slice(1, p % ring.dim(1), ring.dim(1)).raw();
}

const Tensor& page_of(const LayerState& layer, int buffer, int64_t p) {
  const auto& pages = layer.buffers[static_cast<size_t>(buffer)].pages;
  const auto page = static_cast<size_t>(p / page_tokens);
  check(page < pages.size(), "a token's page exists");
  return *pages[page];
}
// A page's tiles from that of token p on.
ops::KvTiles tiles_from(const Tensor& page, int64_t p, int64_t heads) {
  return {page.slice(1, p % page_tokens / ops::tile_keys, page_items).raw(), heads, page.stride(0)};
}

}  // namespace

void append_ring_spans(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                       ops::KvSpans& spans) {
  const Tensor &keys = ring_of(layer, k), &values = ring_of(layer, v);
  spans.dtype = keys.dtype();
  for_each_run(from, to, keys.dim(1), [&](int64_t begin, int64_t end) {
    spans.spans.push_back({slot(keys, begin), slot(values, begin), begin, end - begin,
                           keys.stride(1), keys.stride(0), values.stride(1), values.stride(0)});
  });
}

void append_ring_targets(const LayerState& layer, int k, int v, int64_t from, int64_t to,
                         int64_t row_begin, std::vector<ops::KvTarget>& targets) {
  const Tensor &keys = ring_of(layer, k), &values = ring_of(layer, v);
  const int64_t kept = std::max(from, to - keys.dim(1));
  for_each_run(kept, to, keys.dim(1), [&](int64_t begin, int64_t end) {
    targets.push_back({row_begin + begin - from, end - begin, slot(keys, begin),
                       slot(values, begin), keys.stride(1), keys.stride(0), values.stride(1),
                       values.stride(0)});
  });
}

void append_page_spans(const LayerState& layer, int kv, int64_t heads, int64_t from, int64_t to,
                       ops::KvSpans& spans) {
  for_each_run(from, to, page_tokens, [&](int64_t begin, int64_t end) {
    const Tensor& page = page_of(layer, kv, begin);
    spans.eight_bits = page.dtype() == DType::u8;
    spans.dtype = spans.eight_bits ? spans.dtype : page.dtype();
    spans.spans.push_back(
        {.first = begin, .count = end - begin, .tiles = tiles_from(page, begin, heads)});
  });
}

void append_page_targets(const LayerState& layer, int kv, int64_t heads, int64_t from, int64_t to,
                         int64_t row_begin, std::vector<ops::KvTarget>& targets) {
  for_each_run(from, to, page_tokens, [&](int64_t begin, int64_t end) {
    const Tensor& page = page_of(layer, kv, begin);
    targets.push_back({.row_begin = row_begin + begin - from,
                       .count = end - begin,
                       .tiles = tiles_from(page, begin, heads),
                       .first = begin,
                       .eight_bits = page.dtype() == DType::u8});
  });
}

}  // namespace sambay
