#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/cpu/cross_entropy_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"
#include "ops/matmul.h"
#include "ops/quantized_linear.h"
#include "ops/ref/cross_entropy.h"

namespace sambay::ops {

SAMBAY_KERNELS(CrossEntropyKernels, cross_entropy_kernels);

namespace {

// Logits held at a time: enough rows for the products to run at full speed, few enough to be
// reused.
constexpr int64_t block_elements = int64_t{1} << 24, min_block_rows = 128;

void check_targets(std::string_view op, std::span<const int32_t> targets, int64_t rows,
                   int64_t vocabulary) {
  if (static_cast<int64_t>(targets.size()) != rows) {
    fail(op, "targets: expected ({}), got ({})", rows, targets.size());
  }
  for (size_t t = 0; t < targets.size(); ++t) {
    if (targets[t] >= vocabulary) {
      fail(op, "targets[{}]: expected less than {}, got {}", t, vocabulary, targets[t]);
    }
  }
}

// One row with the kernels of the instruction set in use. d_logits: null, or f32 or bf16.
ref::RowLoss kernel_row(const float* logits, int64_t count, int64_t target, double smoothing,
                        const Tensor& d_logits) {
  const CrossEntropyKernels& kernels = cross_entropy_kernels();
  const LogitSums sums = kernels.sums(logits, count);
  const double normalizer = sums.max + std::log(sums.sum_exp);
  const double nll = normalizer - logits[target];
  const double mean = sums.sum / static_cast<double>(count);
  const LogitGradient gradient = {sums.max, static_cast<float>(1 / sums.sum_exp),
                                  static_cast<float>(smoothing / static_cast<double>(count)),
                                  static_cast<float>(1 - smoothing), target};
  const ref::RowLoss loss = {(1 - smoothing) * nll + smoothing * (normalizer - mean), nll};
  if (d_logits.defined() && d_logits.dtype() == DType::bf16) {
    kernels.gradient_bf16(logits, count, gradient, d_logits.data<Bf16>());
  } else if (d_logits.defined()) {
    kernels.gradient(logits, count, gradient, d_logits.data<float>());
  }
  return loss;
}

// Row `logits` (1, V) of f32 or f64; d_logits (1, V) may be undefined or the logits themselves.
ref::RowLoss any_row(const Tensor& logits, int64_t target, double smoothing,
                     const Tensor& d_logits) {
  const int64_t count = logits.dim(1);
  if (target < 0) {
    if (d_logits.defined()) {
      d_logits.zero();
    }
    return {0, 0};
  }
  if (logits.dtype() == DType::f32 && isa() != Isa::reference) {
    return kernel_row(logits.data<float>(), count, target, smoothing, d_logits);
  }
  ref::RowLoss loss{};
  const bool wanted = d_logits.defined();
  if (logits.dtype() == DType::f64) {
    loss = ref::cross_entropy_row(logits.data<double>(), count, target, smoothing, wanted);
  } else {
    loss = ref::cross_entropy_row(logits.data<float>(), count, target, smoothing, wanted);
  }
  if (wanted && d_logits.raw() != logits.raw()) {
    convert(logits, d_logits);
  }
  return loss;
}

struct LossCall {
  Tensor hidden, weight;      // the weight without its padding rows
  QuantizedMatrix quantized;  // or, in its place
  std::span<const int32_t> targets;
  CrossEntropyOptions options;
  Tensor d_hidden, d_weight;
  Tensor logits, d_logits;  // of one block
  Tensor row_losses;        // (T, 2) f64: loss, nll

  bool has_gradients() const { return d_hidden.defined() || d_weight.defined(); }
};

void run_block(const LossCall& call, int64_t begin, int64_t end) {
  const int64_t rows = end - begin;
  const Tensor hidden = call.hidden.slice(0, begin, end);
  const Tensor logits = call.logits.slice(0, 0, rows);
  const Tensor d_logits = call.has_gradients() ? call.d_logits.slice(0, 0, rows) : Tensor();
  if (call.quantized.defined()) {
    quantized_linear(hidden, call.quantized, {}, logits);
  } else {
    matmul(hidden, call.weight, logits, {.transpose_b = true});
  }
  // The exponential, its sum and what the loss takes; then the gradient's exponential and product.
  count_cost(
      {.other_flops = (call.has_gradients() ? 6.0 : 3.0) * static_cast<double>(logits.elements())});
  if (!any_meta(logits)) {
    parallel_for(rows, [&](int64_t i) {
      const Tensor d_row = d_logits.defined() ? d_logits.slice(0, i, i + 1) : Tensor();
      const auto [loss, nll] =
          any_row(logits.slice(0, i, i + 1), call.targets[static_cast<size_t>(begin + i)],
                  static_cast<double>(call.options.label_smoothing), d_row);
      double* sums = call.row_losses.data<double>() + 2 * (begin + i);
      sums[0] = loss;
      sums[1] = nll;
    });
  }
  // The upstream gradient scales the products, so that bf16 holds differences of probabilities.
  const float scale = call.options.gradient_scale;
  if (call.d_hidden.defined()) {
    matmul(d_logits, call.weight, call.d_hidden.slice(0, begin, end), {.alpha = scale});
  }
  if (call.d_weight.defined()) {
    matmul(d_logits, hidden, call.d_weight,
           {.transpose_a = true, .accumulate = true, .alpha = scale});
  }
}

// All rows, in blocks.
CrossEntropySums run_blocks(LossCall& call, int64_t vocabulary) {
  const Tensor& hidden = call.hidden;
  const int64_t T = hidden.dim(0);
  const DType data = hidden.dtype(), master = master_dtype(data);
  Arena& arena = hidden.arena();
  const int64_t block = std::min(T, std::max(min_block_rows, block_elements / vocabulary));
  call.logits = Tensor::empty({block, vocabulary}, master, arena);
  call.d_logits = call.logits;
  if (call.has_gradients() && data == DType::bf16) {
    call.d_logits = Tensor::empty({block, vocabulary}, data, arena);
  }
  call.row_losses = Tensor::empty({T, 2}, DType::f64, arena);
  for (int64_t begin = 0; begin < T; begin += block) {
    run_block(call, begin, std::min(T, begin + block));
  }
  CrossEntropySums sums;
  for (int64_t t = 0; t < T && !any_meta(hidden); ++t) {
    const double* row = call.row_losses.data<double>() + 2 * t;
    sums.loss += row[0];
    sums.nll += row[1];
  }
  sums.counted =
      std::count_if(call.targets.begin(), call.targets.end(), [](int32_t id) { return id >= 0; });
  return sums;
}

void check_vocabulary(std::string_view op, int64_t vocabulary, int64_t rows) {
  if (vocabulary < 1 || vocabulary > rows) {
    fail(op, "vocabulary: expected 1 to {}, got {}", rows, vocabulary);
  }
}

}  // namespace

CrossEntropySums linear_cross_entropy(const Tensor& hidden, const Tensor& weight,
                                      std::span<const int32_t> targets, int64_t vocabulary,
                                      const CrossEntropyOptions& options, const Tensor& d_hidden,
                                      const Tensor& d_weight) {
  constexpr std::string_view op = "linear_cross_entropy";
  expect_rank(op, "hidden", hidden, 2);
  expect_rank(op, "weight", weight, 2);
  const int64_t T = hidden.dim(0), D = hidden.dim(1);
  const DType data = hidden.dtype(), master = master_dtype(data);
  expect_dtype(op, "hidden", hidden, {DType::f64, DType::f32, DType::bf16});
  expect(op, "weight", weight, {-1, D}, {data});
  check_vocabulary(op, vocabulary, weight.dim(0));
  check_targets(op, targets, T, vocabulary);
  if (d_hidden.defined()) {
    expect(op, "d_hidden", d_hidden, hidden.shape(), {data});
  }
  if (d_weight.defined()) {
    expect(op, "d_weight", d_weight, weight.shape(), {master});
  }
  LossCall call = {.hidden = hidden,
                   .weight = weight.slice(0, 0, vocabulary),
                   .quantized = {},
                   .targets = targets,
                   .options = options,
                   .d_hidden = d_hidden,
                   .d_weight = d_weight.defined() ? d_weight.slice(0, 0, vocabulary) : Tensor(),
                   .logits = {},
                   .d_logits = {},
                   .row_losses = {}};
  return run_blocks(call, vocabulary);
}

CrossEntropySums linear_cross_entropy(const Tensor& hidden, const QuantizedMatrix& weight,
                                      std::span<const int32_t> targets, int64_t vocabulary,
                                      const CrossEntropyOptions& options) {
  constexpr std::string_view op = "linear_cross_entropy";
  expect(op, "hidden", hidden, {-1, weight.columns}, {DType::f32, DType::bf16});
  check_vocabulary(op, vocabulary, weight.rows);
  check_targets(op, targets, hidden.dim(0), vocabulary);
  LossCall call = {.hidden = hidden,
                   .weight = {},
                   .quantized = weight.slice(0, vocabulary),
                   .targets = targets,
                   .options = options,
                   .d_hidden = {},
                   .d_weight = {},
                   .logits = {},
                   .d_logits = {},
                   .row_losses = {}};
  return run_blocks(call, vocabulary);
}

void target_log_probs(const Tensor& logits, std::span<const int32_t> targets,
                      std::span<double> log_probs) {
  constexpr std::string_view op = "target_log_probs";
  expect_rank(op, "logits", logits, 2);
  expect_dtype(op, "logits", logits, {DType::f64, DType::f32});
  const int64_t T = logits.dim(0), V = logits.dim(1);
  check_targets(op, targets, T, V);
  check(log_probs.size() == targets.size(), "there is a place for every target's log probability");
  count_cost({.other_flops = 3.0 * static_cast<double>(logits.elements()),
              .activation_bytes = bytes_of(logits)});
  if (any_meta(logits)) {
    return;
  }
  parallel_for(T, [&](int64_t t) {
    const auto at = static_cast<size_t>(t);
    const Tensor row = logits.slice(0, t, t + 1);
    if (targets[at] < 0) {
      log_probs[at] = 0;
    } else if (logits.dtype() == DType::f64) {
      log_probs[at] = ref::log_softmax_at(row.data<double>(), V, targets[at]);
    } else if (isa() == Isa::reference) {
      log_probs[at] = ref::log_softmax_at(row.data<float>(), V, targets[at]);
    } else {
      log_probs[at] = -kernel_row(row.data<float>(), V, targets[at], 0, {}).nll;
    }
  });
}

}  // namespace sambay::ops
