// The floor of a product of few rows with quantized weights is their stored bytes, read once, at
// the read bandwidth; that of many rows its 2 M N K operations at the bf16 matrix peak. `share` is
// measured over floor, both of the same run; 1 is the machine's own limit.
#include "ops/quantized_linear.h"

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "ops/ceilings.h"

namespace sambay::ops {
namespace {

const Ceilings& ceilings() {
  static const Ceilings measured = measure_ceilings();
  return measured;
}

Tensor random_matrix(int64_t rows, int64_t columns) {
  static std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor out = Tensor::empty({rows, columns}, DType::bf16);
  for (int64_t i = 0; i < out.elements(); ++i) {
    out.data<Bf16>()[i] = to_bf16(uniform(random));
  }
  return out;
}

// As in matmul_bench.cc: the fastest run; of one thread by its own processor time.
double now() {
  timespec time{};
  clock_gettime(num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Each call takes another matrix of a set that no cache holds, as decoding takes layer after layer.
void quantized_linear_of(benchmark::State& state) {
  const int64_t rows = state.range(0), outs = state.range(1), in = state.range(2);
  const int bits = static_cast<int>(state.range(3));
  const int64_t set_bytes = state.range(4) << 20;
  std::vector<QuantizedMatrix> weights;
  const auto first = QuantizedMatrix::empty(outs, in, bits, default_arena(Device::cpu));
  quantize(random_matrix(outs, in), first);
  weights.push_back(first);
  while (static_cast<int64_t>(weights.size() * first.bytes()) < set_bytes) {
    weights.push_back(first);
    weights.back().data = first.data.clone();
  }
  const Tensor x = random_matrix(rows, in);
  const Tensor out = Tensor::empty({rows, outs}, DType::bf16);
  size_t next = 0;
  double seconds = 1e9;
  for (auto _ : state) {
    const double begin = now();
    quantized_linear(x, weights[next++ % weights.size()], {}, out);
    const double taken = now() - begin;
    state.SetIterationTime(taken);
    seconds = std::min(seconds, taken);
  }
  const double flops =
      2.0 * static_cast<double>(rows) * static_cast<double>(outs) * static_cast<double>(in);
  const auto bytes = static_cast<double>(first.bytes());
  state.counters["GB/s"] = bytes / seconds * 1e-9;
  state.counters["GFLOP/s"] = flops / seconds * 1e-9;
  state.counters["share"] = rows <= quantized_few_rows
                                ? bytes / seconds / ceilings().read_bytes_per_second
                                : flops / seconds / ceilings().bf16_flops_per_second;
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "O", "I", "bits", "MiB"})->UseManualTime();
  for (const int64_t bits : {8, 4}) {
    for (const int64_t rows : {1, 2, 4, 8, 16}) {
      bench->Args({rows, 2560, 10240, bits, 512});
    }
    bench->Args({1, 20480, 2560, bits, 512});
    bench->Args({1, 1280, 2560, bits, 512});
    bench->Args({1, 256, 2560, bits, 0});  // in the second cache: arithmetic alone
    bench->Args({512, 2560, 10240, bits, 0});
    bench->Args({32, 2560, 10240, bits, 512});
    bench->Args({64, 2560, 10240, bits, 0});
  }
}
BENCHMARK(quantized_linear_of)->Apply(shapes);

void ceilings_of_this_machine(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(ceilings());
  }
  state.SetLabel(std::string(name(isa())));
  state.counters["read GB/s"] = ceilings().read_bytes_per_second * 1e-9;
  state.counters["bf16 GFLOP/s"] = ceilings().bf16_flops_per_second * 1e-9;
}
BENCHMARK(ceilings_of_this_machine)->Iterations(1);

}  // namespace
}  // namespace sambay::ops
