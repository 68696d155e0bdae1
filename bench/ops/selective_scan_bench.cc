// The selective scan against its floor.
//
// Per row and channel-state the forward needs at least 10 multiply-add slots of one vector: 6 for
// the polynomial of 2^x, 1 for its argument, 1 for dtu b, 1 for X and 1 for y; rounding, clamping
// and scaling go to other pipes. The backward needs 10 to replay and 10 more for the gradients.
// `of_floor` is the fraction of that bound reached, with the rate of the FMA pipes measured here.
#include <benchmark/benchmark.h>

#include <vector>

#include "ops/ceilings.h"
#include "ops/selective_scan.h"

namespace sambay::ops {
namespace {

constexpr int64_t channels = 2048, state_size = 16;
constexpr double forward_slots = 10, backward_slots = 20;

// Multiply-adds per second of all threads.
double fma_rate() {
  static const double rate =
      measure_ceilings({.buffer_bytes = size_t{1} << 28}).f32_flops_per_second / 2;
  return rate;
}

Tensor filled(const Shape& shape, DType dtype, float low, float high) {
  const Tensor out = Tensor::empty(shape, dtype);
  uint32_t seed = 1;
  for (int64_t i = 0; i < out.elements(); ++i) {
    seed = seed * 1664525U + 1013904223U;
    const float x = low + (high - low) * static_cast<float>(seed >> 8) / 16777216.0F;
    if (dtype == DType::bf16) {
      out.data<Bf16>()[i] = to_bf16(x);
    } else {
      out.data<float>()[i] = x;
    }
  }
  return out;
}

SelectiveScanInputs inputs(int64_t T) {
  constexpr int64_t E = channels, N = state_size;
  return {filled({T, E}, DType::bf16, -1, 1),   filled({T, E}, DType::bf16, -1, 1),
          filled({T, N}, DType::bf16, -1, 1),   filled({T, N}, DType::bf16, -1, 1),
          filled({E, N}, DType::f32, 0, 2.77F), filled({E}, DType::f32, 1, 1),
          filled({E}, DType::f32, -5, -2)};
}

void report(benchmark::State& state, int64_t T, double slots) {
  const double elements = static_cast<double>(T) * channels * state_size;
  const double done = elements * static_cast<double>(state.iterations());
  state.counters["elements"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
  state.counters["of_floor"] =
      benchmark::Counter(done * slots / fma_rate(), benchmark::Counter::kIsRate);
}

void prefill(benchmark::State& state) {
  const int64_t T = state.range(0);
  const SelectiveScanInputs in = inputs(T);
  Segments segments;
  segments.add(T);
  const Tensor y = Tensor::empty({T, channels}, DType::bf16);
  for (auto _ : state) {
    selective_scan(in, segments, {}, y);
  }
  report(state, T, forward_slots);
}
BENCHMARK(prefill)->Arg(512)->Arg(4096)->UseRealTime()->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  const int64_t count = state.range(0);
  const SelectiveScanInputs in = inputs(count);
  const Tensor x = Tensor::zeros({count, channels, state_size}, DType::f32);
  Segments segments;
  std::vector<void*> states;
  for (int64_t s = 0; s < count; ++s) {
    segments.add(1);
    states.push_back(x.slice(0, s, s + 1).raw());
  }
  const Tensor y = Tensor::empty({count, channels}, DType::bf16);
  for (auto _ : state) {
    selective_scan(in, segments, states, y);
  }
  report(state, count, forward_slots);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(2 * x.bytes()));
}
BENCHMARK(decode)->Arg(1)->Arg(8)->Arg(64)->UseRealTime()->Unit(benchmark::kMicrosecond);

void backward(benchmark::State& state) {
  const int64_t T = state.range(0);
  const SelectiveScanInputs in = inputs(T);
  Segments segments;
  segments.add(T);
  const Tensor y = Tensor::empty({T, channels}, DType::bf16);
  const Tensor x = Tensor::empty({scan_checkpoints(segments), channels, state_size}, DType::f32);
  selective_scan(in, segments, {}, y, x);
  const SelectiveScanGradients gradients = inputs(T);
  for (auto _ : state) {
    selective_scan_backward(in, segments, x, y, gradients);
  }
  report(state, T, backward_slots);
}
BENCHMARK(backward)->Arg(1024)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sambay::ops
