// Attention: prefill and training in GFLOP/s of the pairs inside the mask, decoding in GB/s of keys
// and values. PeakBf16 and ReadMemory are the ceilings, on all threads.
#include "ops/attention.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/cpu.h"
#include "base/threads.h"
#include "ops/cost.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sambay::ops {
namespace {

Tensor random_tensor(const Shape& shape, DType dtype) {
  static std::mt19937 random(1);
  std::uniform_real_distribution<float> distribution(-1, 1);
  const Tensor out = Tensor::empty(shape, dtype);
  const int64_t elements = out.elements();
  auto* floats = static_cast<float*>(out.raw());
  auto* halves = static_cast<Bf16*>(out.raw());
  for (int64_t i = 0; i < elements; ++i) {
    const float x = distribution(random);
    if (dtype == DType::bf16) {
      halves[i] = to_bf16(x);
    } else {
      floats[i] = x;
    }
  }
  return out;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) float peak_loop(int64_t rounds) {
  __m512 sums[12];
  for (auto& sum : sums) {
    sum = _mm512_setzero_ps();
  }
  auto ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < rounds; ++i) {
    for (auto& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, ones, ones);
    }
    asm volatile("" : "+v"(ones));
  }
  __m512 total = sums[0];
  for (const auto& sum : sums) {
    total = _mm512_add_ps(total, sum);
  }
  float out[16];
  _mm512_storeu_ps(out, total);
  return out[0];
}

void PeakBf16(benchmark::State& state) {
  if (isa() < Isa::avx512bf16) {
    state.SkipWithError("no bf16 dot product");
    return;
  }
  constexpr int64_t rounds = 1'000'000;
  for (auto _ : state) {
    parallel_for(num_threads(), [](int64_t) { benchmark::DoNotOptimize(peak_loop(rounds)); });
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(static_cast<double>(num_threads() * rounds) * 12 * 64,
                         benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(PeakBf16)->UseRealTime()->Unit(benchmark::kMillisecond);
#endif

void ReadMemory(benchmark::State& state) {
  const Tensor t = Tensor::zeros({int64_t{1} << 28}, DType::u8);
  const auto* words = reinterpret_cast<const uint64_t*>(t.raw());
  for (auto _ : state) {
    parallel_ranges(t.elements() / 8, 512, [&](int64_t begin, int64_t end) {
      uint64_t sum = 0;
      for (int64_t i = begin; i < end; ++i) {
        sum += words[i];
      }
      benchmark::DoNotOptimize(sum);
    });
  }
  state.counters["kv B/s"] = benchmark::Counter(static_cast<double>(t.bytes()),
                                                benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(ReadMemory)->UseRealTime()->Unit(benchmark::kMillisecond);

struct Case {
  Segments tokens, queries;
  AttentionOptions options;
  Tensor q, k, v, out, lse;

  // `queries` last tokens of each of `sequences` sequences of `length` tokens.
  Case(DType dtype, const HeadMap& map, int64_t window, int64_t sequences, int64_t length,
       int64_t query_rows)
      : options{map, window, 1.0F / std::sqrt(static_cast<float>(map.head_dim))} {
    for (int64_t i = 0; i < sequences; ++i) {
      tokens.add(length);
      queries.add(query_rows, length - query_rows);
    }
    q = random_tensor({queries.rows(), map.heads, map.head_dim}, dtype);
    k = random_tensor({tokens.rows(), map.k_heads, map.head_dim}, dtype);
    v = random_tensor({tokens.rows(), map.k_heads, map.head_dim}, dtype);
    out = Tensor::empty({queries.rows(), map.heads, map.v_dim()}, dtype);
    lse = Tensor::empty({queries.rows(), map.heads}, DType::f32);
  }
  void forward() const { attention(q, queries, fresh_spans(k, v, tokens), options, out, lse); }
};

DType dtype_of(int64_t bits) {
  return bits == 16 ? DType::bf16 : DType::f32;
}

template <class Body>
void measure(benchmark::State& state, Body body) {
  Cost cost;
  {
    const ScopedCostMeter meter(cost);
    body();
  }
  for (auto _ : state) {
    body();
  }
  using benchmark::Counter;
  state.counters["FLOP/s"] = Counter(cost.matrix_flops, Counter::kIsIterationInvariantRate);
  state.counters["kv B/s"] = Counter(cost.state_bytes, Counter::kIsIterationInvariantRate);
}

HeadMap map_of(const benchmark::State& state) {
  return {state.range(1), state.range(2), state.range(3), state.range(4) != 0};
}

void Prefill(benchmark::State& state) {
  const Case c(dtype_of(state.range(0)), map_of(state), state.range(5), 1, state.range(6),
               state.range(6));
  measure(state, [&] { c.forward(); });
}

void TrainBackward(benchmark::State& state) {
  const DType dtype = dtype_of(state.range(0));
  const Case c(dtype, map_of(state), state.range(5), 1, state.range(6), state.range(6));
  c.forward();
  const Tensor d_out = random_tensor(c.out.shape(), dtype);
  const AttentionGradients g = {Tensor::empty(c.q.shape(), dtype),
                                Tensor::empty(c.k.shape(), dtype),
                                Tensor::empty(c.v.shape(), dtype)};
  measure(state, [&] {
    attention_backward(c.q, c.k, c.v, c.queries, c.tokens, c.options, c.out, c.lse, d_out, g);
  });
}

// Keys and values as a cache has them: in pages of tiles. Enough sequences that they do not stay in
// the last cache, but for the shortest.
void Decode(benchmark::State& state) {
  constexpr int64_t page_tokens = 256;
  const int64_t tokens = state.range(6), d = state.range(3);
  const int64_t sequences = tokens >= 32768 ? 4 : tokens < 1024 ? 1 : 64;
  const DType dtype = dtype_of(state.range(0));
  const HeadMap map = map_of(state);
  Case c(dtype, map, state.range(5), sequences, tokens, 1);
  c.k = c.v = Tensor();
  const int64_t pages = (tokens + page_tokens - 1) / page_tokens;
  const KvTile tile(dtype, d, map.tile_heads());
  const Tensor memory = random_tensor(
      {sequences * pages, map.k_heads / tile.heads, page_tokens / tile_keys * tile.elements()},
      dtype);
  KvSpans cache;
  cache.dtype = dtype;
  for (int64_t i = 0; i < sequences * pages; ++i) {
    const int64_t first = i % pages * page_tokens;
    cache.spans.push_back(
        {.first = first,
         .count = std::min(page_tokens, tokens - first),
         .tiles = {memory.slice(0, i, i + 1).raw(), tile.heads, memory.stride(1)}});
    if (i % pages == pages - 1) {
      cache.end_segment();
    }
  }
  measure(state, [&] { attention(c.q, c.queries, cache, c.options, c.out, c.lse); });
}

const std::vector<std::string> names = {"bits", "H", "K", "d", "paired", "window", "T"};
BENCHMARK(Prefill)
    ->ArgNames(names)
    ->Args({16, 8, 2, 128, 0, 0, 2048})
    ->Args({16, 8, 2, 128, 0, 128, 4096})
    ->Args({16, 8, 4, 64, 0, 0, 2048})
    ->Args({16, 8, 4, 64, 1, 512, 2048})
    ->Args({32, 8, 2, 128, 0, 0, 2048})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(TrainBackward)
    ->ArgNames(names)
    ->Args({16, 8, 2, 128, 0, 0, 1024})
    ->Args({16, 8, 2, 128, 0, 0, 4096})
    ->Args({16, 8, 2, 128, 0, 128, 4096})
    ->Args({16, 8, 4, 64, 0, 0, 2048})
    ->Args({16, 8, 4, 64, 1, 512, 2048})
    ->Args({32, 8, 2, 128, 0, 0, 1024})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(Decode)
    ->ArgNames(names)
    ->Args({16, 8, 2, 128, 0, 0, 512})
    ->Args({16, 8, 2, 128, 0, 0, 1024})
    ->Args({16, 8, 2, 128, 0, 0, 32768})
    ->Args({16, 8, 4, 64, 1, 0, 32768})
    ->Args({32, 8, 2, 128, 0, 0, 32768})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sambay::ops
