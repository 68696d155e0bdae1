// The floor of a matrix product is its 2 M N K operations at the matrix peak; that of a product
// with a few rows is its weights, read once, at the read bandwidth. `share` is measured over floor,
// both of the same run; 1 is the machine's own limit.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "ops/ceilings.h"
#include "ops/matmul.h"

namespace sambay::ops {
namespace {

const Ceilings& ceilings() {
  static const Ceilings measured = measure_ceilings();
  return measured;
}

Tensor random_matrix(int64_t rows, int64_t columns, DType dtype) {
  static std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor out = Tensor::empty({rows, columns}, dtype);
  for (int64_t i = 0; i < out.elements(); ++i) {
    if (dtype == DType::bf16) {
      out.data<Bf16>()[i] = to_bf16(uniform(random));
    } else {
      out.data<float>()[i] = uniform(random);
    }
  }
  return out;
}

DType dtype_of(int64_t bf16) {
  return bf16 != 0 ? DType::bf16 : DType::f32;
}

// On a shared machine the mean tells about the neighbours: the fastest single run counts. One
// thread (SAMBAY_THREADS=1) is timed by its own processor time, which neighbours hardly touch.
class BestOf {
 public:
  template <class Body>
  void time(benchmark::State& state, Body body) {
    for (auto _ : state) {
      const double begin = now();
      body();
      const double taken = now() - begin;
      state.SetIterationTime(taken);
      seconds_ = std::min(seconds_, taken);
    }
  }
  void report(benchmark::State& state, const char* unit, double amount, double ceiling) const {
    state.counters[unit] = amount / seconds_ * 1e-9;
    state.counters["share"] = amount / seconds_ / ceiling;
  }

 private:
  static double now() {
    timespec time{};
    clock_gettime(num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  double seconds_ = 1e9;
};

enum Layout { nn, nt, tn };

void matmul_of(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const DType dtype = dtype_of(state.range(3));
  const bool ta = state.range(4) == tn, tb = state.range(4) == nt;
  const Tensor a = ta ? random_matrix(k, m, dtype) : random_matrix(m, k, dtype);
  const Tensor b = tb ? random_matrix(n, k, dtype) : random_matrix(k, n, dtype);
  // As in training: activations in the operands' dtype, gradients of weights added up in f32.
  const Tensor c = Tensor::zeros({m, n}, ta ? DType::f32 : dtype);
  const MatmulOptions options = {.transpose_a = ta, .transpose_b = tb, .accumulate = ta};
  BestOf best;
  best.time(state, [&] { matmul(a, b, c, options); });
  best.report(
      state, "GFLOP/s",
      2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
      dtype == DType::bf16 ? ceilings().bf16_flops_per_second : ceilings().f32_flops_per_second);
}

void matmul_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"M", "N", "K", "bf16", "layout"})->UseManualTime();
  for (const int64_t bf16 : {0, 1}) {
    for (const int64_t layout : {nn, nt, tn}) {
      bench->Args({2048, 4096, 1024, bf16, layout});
      bench->Args({2048, 256, 256, bf16, layout});
      bench->Args({512, 94, 1984, bf16, layout});
      bench->Args({64, 1024, 1024, bf16, layout});
    }
  }
}
BENCHMARK(matmul_of)->Apply(matmul_shapes);

// Each call takes another matrix of a set that no cache holds, as decoding takes layer after layer.
void linear_of(benchmark::State& state) {
  const int64_t rows = state.range(0), outs = state.range(1), in = state.range(2);
  const DType dtype = dtype_of(state.range(3));
  const int64_t set_bytes = state.range(4) << 20;
  const auto bytes = outs * in * static_cast<int64_t>(size_of(dtype));
  std::vector<Tensor> weights;
  for (int64_t i = 0; i < std::max<int64_t>(1, set_bytes / bytes); ++i) {
    weights.push_back(i == 0 ? random_matrix(outs, in, dtype) : weights[0].clone());
  }
  const Tensor x = random_matrix(rows, in, dtype);
  const Tensor out = Tensor::empty({rows, outs}, DType::f32);
  size_t next = 0;
  BestOf best;
  best.time(state, [&] { linear(x, weights[next++ % weights.size()], {}, out); });
  best.report(state, "GB/s", static_cast<double>(bytes), ceilings().read_bytes_per_second);
}

void linear_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "O", "I", "bf16", "MiB"})->UseManualTime();
  for (const int64_t bf16 : {0, 1}) {
    for (const int64_t rows : {1, 2, 4, 8, 16, 32, 64}) {
      bench->Args({rows, 2000, 4000, bf16, 512});
    }
    for (const int64_t rows : {1, 4}) {
      bench->Args({rows, 256, 256, bf16, 0});
      bench->Args({rows, 512, 512, bf16, 0});
      bench->Args({rows, 1024, 1024, bf16, 0});
    }
  }
}
BENCHMARK(linear_of)->Apply(linear_shapes);

void ceilings_of_this_machine(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(ceilings());
  }
  state.SetLabel(std::string(name(isa())));
  state.counters["read GB/s"] = ceilings().read_bytes_per_second * 1e-9;
  state.counters["f32 GFLOP/s"] = ceilings().f32_flops_per_second * 1e-9;
  state.counters["bf16 GFLOP/s"] = ceilings().bf16_flops_per_second * 1e-9;
}
BENCHMARK(ceilings_of_this_machine)->Iterations(1);

}  // namespace
}  // namespace sambay::ops
