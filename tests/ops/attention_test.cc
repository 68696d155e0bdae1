#include "ops/attention.h"

#include <gtest/gtest.h>

#include "base/threads.h"
#include "ops/cost.h"
#include "ops/kv_store.h"

#include "ops/op_test_util.h"
#include "support/fault.h"
#include "support/kv_rows.h"

namespace sambay::ops {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using sambay::testing::fault;

struct Problem {
  HeadMap map;
  int64_t window = 0;
  Segments tokens, queries;

  AttentionOptions options() const {
    return {map, window, 1.0F / std::sqrt(static_cast<float>(map.head_dim))};
  }
  Shape q_shape() const { return {queries.rows(), map.heads, map.head_dim}; }
  Shape k_shape() const { return {tokens.rows(), map.k_heads, map.head_dim}; }
  Shape out_shape() const { return {queries.rows(), map.heads, map.v_dim()}; }
};

// Segments that cross block borders, one of them empty, queries being whole segments or suffixes.
Problem problem(const HeadMap& map, int64_t window, bool suffixes = false) {
  Problem p{map, window, {}, {}};
  p.tokens.add(70);
  p.tokens.add(0);
  p.tokens.add(1);
  p.tokens.add(23);
  p.queries = suffixes ? suffix(p.tokens, {5, 0, 1, 0}) : p.tokens;
  return p;
}

std::vector<Problem> problems() {
  std::vector<Problem> all;
  for (const int64_t window : {0, 1, 3, 40, 1000}) {
    all.push_back(problem({2, 2, 16, false}, window));
  }
  all.push_back(problem({4, 1, 64, false}, 0));
  all.push_back(problem({6, 2, 128, false}, 17));
  all.push_back(problem({3, 1, 7, false}, 0));
  all.push_back(problem({2, 1, 33, false}, 9));
  all.push_back(problem({8, 4, 32, true}, 0));
  all.push_back(problem({4, 2, 9, true}, 21));
  all.push_back(problem({65, 1, 8, false}, 0, true));
  all.push_back(problem({4, 2, 16, false}, 0, true));
  all.push_back(problem({4, 2, 16, true}, 6, true));
  return all;
}

std::string text(const Problem& p, DType dtype) {
  return fmt::format("{} of {} heads, {} of {} key heads, window {}, {} queries", name(dtype),
                     p.map.heads, p.map.paired ? "pairs" : "singles", p.map.k_heads, p.window,
                     p.queries.rows());
}

struct Operands {
  Tensor q, k, v;
};

Operands random_operands(const Problem& p, DType dtype, unsigned seed = 1) {
  Random random(seed);
  return {with_strided_rows(random_tensor(random, p.q_shape(), dtype, -2, 2)),
          random_tensor(random, p.k_shape(), dtype, -2, 2),
          with_strided_rows(random_tensor(random, p.k_shape(), dtype, -1, 1))};
}

struct Result {
  Tensor out, lse;
};

Result forward(const Problem& p, const Operands& in) {
  Result r = {Tensor::empty(p.out_shape(), in.q.dtype()),
              Tensor::empty({p.queries.rows(), p.map.heads}, master_dtype(in.q.dtype()))};
  attention(in.q, p.queries, fresh_spans(in.k, in.v, p.tokens), p.options(), r.out, r.lse);
  return r;
}

Operands in_double(const Operands& in) {
  return {converted(in.q, DType::f64), converted(in.k, DType::f64), converted(in.v, DType::f64)};
}

// In the norm, where roundings of single elements average out. Scores go up to |q||k|/sqrt(d),
// about 10 here, and their rounding error enters the exponent. In bf16 the rounding of the
// probabilities and that of the result remain, each about a third of the unit.
double forward_bound(DType dtype) {
  return dtype == DType::bf16 ? unit_roundoff(dtype) : tolerance(dtype, 10);
}
double lse_bound() {
  return tolerance(DType::f32, 5);
}

TEST(Attention, EveryLevelMatchesTheReferenceInDouble) {
  for (const Problem& p : problems()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Operands in = random_operands(p, dtype);
      const Result expected = forward(p, in_double(in));
      for_each_isa([&](const std::string&) {
        const Result got = forward(p, in);
        expect_close(got.out, expected.out, forward_bound(dtype), "out: " + text(p, dtype));
        expect_close(got.lse, expected.lse, lse_bound(), "lse: " + text(p, dtype));
      });
    }
  }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const Problem p = problem({2, 1, 16, false}, 0);
  Random random(3);
  const Operands in = {random_tensor(random, p.q_shape(), DType::f32, -100, 100),
                       random_tensor(random, p.k_shape(), DType::f32, -100, 100),
                       random_tensor(random, p.k_shape(), DType::f32)};
  const Result expected = forward(p, in_double(in));
  for_each_isa([&](const std::string&) {
    // Scores of up to 4e4 carry an absolute error of 4e4 epsilon into the exponent.
    expect_close(forward(p, in).out, expected.out, 4e4 * 20 * unit_roundoff(DType::f32), "out");
  });
}

// Keys and values of one sequence in other memory: (head, token, d), cut into pages of `page`
// tokens, the last of which come first in memory.
struct Paged {
  Tensor k, v;
  KvSpans spans;
};

Paged paged(const Tensor& k, const Tensor& v, int64_t page) {
  const int64_t tokens = k.dim(0), heads = k.dim(1), d = k.dim(2);
  const int64_t pages = (tokens + page - 1) / page;
  Paged out = {Tensor::zeros({pages, heads, page, d}, k.dtype()),
               Tensor::zeros({pages, heads, page, d}, k.dtype()),
               {}};
  out.spans.dtype = k.dtype();
  for (int64_t i = 0; i < pages; ++i) {
    const int64_t begin = i * page, count = std::min(page, tokens - begin);
    const Tensor k_page = out.k.slice(0, pages - 1 - i, pages - i);
    const Tensor v_page = out.v.slice(0, pages - 1 - i, pages - i);
    for (int64_t h = 0; h < heads; ++h) {
      k_page.slice(1, h, h + 1)
          .slice(2, 0, count)
          .reshape({count, d})
          .copy_from(
              k.slice(0, begin, begin + count).slice(1, h, h + 1).clone().reshape({count, d}));
      v_page.slice(1, h, h + 1)
          .slice(2, 0, count)
          .reshape({count, d})
          .copy_from(
              v.slice(0, begin, begin + count).slice(1, h, h + 1).clone().reshape({count, d}));
    }
    out.spans.spans.push_back({k_page.raw(), v_page.raw(), begin, count, d, page * d, d, page * d});
  }
  out.spans.end_segment();
  return out;
}

// One sequence's queries in chunks of 1 to some hundred.
Tensor in_chunks(const Problem& p, const Tensor& q, const KvSpans& keys) {
  const Tensor out = Tensor::empty(p.out_shape(), q.dtype());
  for (int64_t begin = 0, rows = 1; begin < q.dim(0); begin += rows, rows = rows % 90 * 3 + 1) {
    rows = std::min<int64_t>(rows, q.dim(0) - begin);
    Segments chunk;
    chunk.add(rows, begin);
    attention(q.slice(0, begin, begin + rows), chunk, keys, p.options(),
              out.slice(0, begin, begin + rows));
  }
  return out;
}

TEST(Attention, ChunksOverPagesEqualTheWhole) {
  for (const bool paired : {false, true}) {
    for (const int64_t window : {0, 50}) {
      Problem p{{4, 2, 32, paired}, window, {}, {}};
      p.tokens.add(150);
      p.queries = p.tokens;
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Operands in = random_operands(p, dtype);
        const Result expected = forward(p, in_double(in));
        for_each_isa([&](const std::string&) {
          for (const int64_t page : {7, 64, 150}) {
            const Paged cache = paged(in.k, in.v, page);
            const Tensor out = in_chunks(p, in.q, cache.spans);
            expect_close(out, expected.out, forward_bound(dtype), text(p, dtype));
          }
        });
      }
    }
  }
}

// One sequence's keys and values in tiles, cut into pages of `page` tokens.
struct Tiled {
  Tensor tiles;
  KvSpans spans;
};

Tiled tiled(const Tensor& k, const Tensor& v, int64_t tile_heads, int64_t page,
            bool eight_bits = false) {
  const int64_t tokens = k.dim(0), groups = k.dim(1) / tile_heads;
  const int64_t count = (tokens + tile_keys - 1) / tile_keys;
  const DType dtype = eight_bits ? DType::u8 : k.dtype();
  const KvTile tile(dtype, k.dim(2), tile_heads);
  Tiled out = {Tensor::empty({groups, count, tile.elements()}, dtype), {}};
  const auto tiles_from = [&](int64_t position) {
    return KvTiles{out.tiles.slice(1, position / tile_keys, count).raw(), tile_heads,
                   out.tiles.stride(0)};
  };
  const KvTarget target = {.row_begin = 0,
                           .count = tokens,
                           .tiles = tiles_from(0),
                           .first = 0,
                           .eight_bits = eight_bits};
  kv_store(k, v, std::span(&target, 1));
  out.spans.dtype = k.dtype();
  out.spans.eight_bits = eight_bits;
  for (int64_t first = 0; first < tokens; first += page) {
    out.spans.spans.push_back(
        {.first = first, .count = std::min(page, tokens - first), .tiles = tiles_from(first)});
  }
  out.spans.end_segment();
  return out;
}

// Head sizes within and beyond a block of columns.
constexpr HeadMap tiled_maps[] = {{4, 2, 32, false}, {3, 1, 7, false},   {4, 2, 80, true},
                                  {4, 2, 9, true},   {8, 2, 128, false}, {65, 1, 8, false}};

// By single queries, by few and by many, from anywhere in a tile.
TEST(Attention, TilesServeWhatRowsDo) {
  for (const HeadMap& map : tiled_maps) {
    for (const int64_t window : {0, 51}) {
      Problem p{map, window, {}, {}};
      p.tokens.add(203);
      p.queries = p.tokens;
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Operands in = random_operands(p, dtype);
        const Result expected = forward(p, in_double(in));
        for_each_isa([&](const std::string&) {
          const Tiled cache = tiled(in.k, in.v, map.tile_heads(), 2 * tile_keys);
          const Tensor out = in_chunks(p, in.q, cache.spans);
          expect_close(out, expected.out, forward_bound(dtype), text(p, dtype));
        });
      }
    }
  }
}

// Queries and probabilities of 16 bits leave 2^-16 of a score of up to 10 (forward_bound) in the
// exponent.
double bound_beside_8_bits(DType dtype) {
  return std::max(forward_bound(dtype), 10 * 0x1p-16);
}

TEST(Attention, TilesOf8BitsServeTheNumbersTheyStandFor) {
  for (const HeadMap& map : tiled_maps) {
    for (const int64_t window : {0, 51}) {
      Problem p{map, window, {}, {}};
      p.tokens.add(203);
      p.queries = p.tokens;
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Operands in = random_operands(p, dtype);
        const Tiled cache = tiled(in.k, in.v, map.tile_heads(), 2 * tile_keys, true);
        KvSpan whole = cache.spans.spans[0];
        whole.count = 203;
        const auto rows = sambay::testing::rows_of_8_bits(whole, map.k_heads, map.head_dim);
        const Result expected = forward(p, {converted(in.q, DType::f64), rows.k, rows.v});
        for_each_isa([&](const std::string&) {
          const Tensor out = in_chunks(p, in.q, cache.spans);
          expect_close(out, expected.out, bound_beside_8_bits(dtype), text(p, dtype));
        });
      }
    }
  }
}

// So many keys that a task takes all heads; the bits are those of a task for each.
TEST(Attention, TasksOfManyHeadsGiveTheSameBits) {
  for (const bool paired : {false, true}) {
    Problem p{{12, 6, 16, paired}, 0, {}, {}};
    p.tokens.add(9000);
    p.queries = suffix(p.tokens, {1});
    const Operands in = random_operands(p, DType::bf16);
    const Tiled cache = tiled(in.k, in.v, p.map.tile_heads(), 1024);
    const Result expected = forward(p, in_double(in));
    const auto with_threads = [&](int threads) {
      const int before = num_threads();
      set_num_threads(threads);
      const Tensor out = Tensor::empty(p.out_shape(), DType::bf16);
      attention(in.q, p.queries, cache.spans, p.options(), out);
      set_num_threads(before);
      return out;
    };
    const Tensor together = with_threads(1), apart = with_threads(8);
    expect_close(together, expected.out, forward_bound(DType::bf16), text(p, DType::bf16));
    EXPECT_EQ(values_of(together), values_of(apart));
  }
}

TEST(Attention, ARingOfTwoSpansServesAWindow) {
  // 20 slots hold positions 30 to 49: slots 10.. hold 30.., slots 0.. hold 40...
  constexpr int64_t slots = 20, next = 50;
  const HeadMap map = {2, 1, 16, false};
  Random random(5);
  const Tensor k = random_tensor(random, {slots, 1, 16}, DType::f64);
  const Tensor v = random_tensor(random, {slots, 1, 16}, DType::f64);
  const Tensor q = random_tensor(random, {1, 2, 16}, DType::f64);
  const auto ring = [&](const Tensor& keys, const Tensor& values) {
    KvSpans spans;
    spans.dtype = keys.dtype();
    for (const auto& [slot, position] : {std::pair<int64_t, int64_t>{10, 30}, {0, 40}}) {
      spans.spans.push_back({keys.slice(0, slot, slot + 10).raw(),
                             values.slice(0, slot, slot + 10).raw(), position, 10, 16, 16, 16, 16});
    }
    spans.end_segment();
    return spans;
  };
  Segments one;
  one.add(1, next - 1);
  const Tensor expected = Tensor::empty({1, 2, 16}, DType::f64);
  attention(q, one, ring(k, v), {map, 15, 0.25F}, expected);
  // The same positions in order, as fresh rows.
  const Tensor k_row = k.clone(), v_row = v.clone();
  for (const auto& [from, to] : {std::pair<const Tensor&, const Tensor&>{k, k_row}, {v, v_row}}) {
    to.slice(0, 0, 10).copy_from(from.slice(0, 10, 20));
    to.slice(0, 10, 20).copy_from(from.slice(0, 0, 10));
  }
  Segments rows;
  rows.add(slots, next - slots);
  const Tensor straight = Tensor::empty({1, 2, 16}, DType::f64);
  attention(q, one, fresh_spans(k_row, v_row, rows), {map, 15, 0.25F}, straight);
  expect_close(expected, straight, tolerance(DType::f64, 10), "reference");
  for_each_isa([&](const std::string&) {
    const Tensor got = Tensor::empty({1, 2, 16}, DType::f32);
    const Tensor k32 = converted(k, DType::f32), v32 = converted(v, DType::f32);
    attention(converted(q, DType::f32), one, ring(k32, v32), {map, 15, 0.25F}, got);
    expect_close(got, expected, tolerance(DType::f32, 100), "ring");
  });
}

TEST(Attention, OneQueryAgainstManyKeysIsCutIntoChunks) {
  for (const bool paired : {false, true}) {
    for (const int64_t queries : {1, 3}) {
      Problem p{{4, 2, 64, paired}, 0, {}, {}};
      p.tokens.add(5000);
      p.queries = suffix(p.tokens, {static_cast<int32_t>(queries)});
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Operands in = random_operands(p, dtype);
        const Result expected = forward(p, in_double(in));
        for_each_isa([&](const std::string&) {
          const Result got = forward(p, in);
          // The reference adds up 5,000 terms one by one: the error grows like the root.
          const double bound = forward_bound(dtype) + std::sqrt(5000) * unit_roundoff(DType::f32);
          expect_close(got.out, expected.out, bound, text(p, dtype));
          expect_close(got.lse, expected.lse, lse_bound(), "lse");
        });
      }
    }
  }
}

TEST(Attention, AQueryWithoutKeysGivesZeros) {
  const HeadMap map = {2, 1, 8, false};
  Random random(6);
  const Tensor q = random_tensor(random, {1, 2, 8}, DType::f32);
  Segments one;
  one.add(1, 4);
  KvSpans none;
  none.end_segment();
  for_each_isa([&](const std::string&) {
    const Tensor out = random_tensor(random, {1, 2, 8}, DType::f32);
    const Tensor lse = Tensor::empty({1, 2}, DType::f32);
    attention(q, one, none, {map, 0, 1.0F}, out, lse);
    for (const double x : values_of(out)) {
      EXPECT_EQ(x, 0.0);
    }
    EXPECT_EQ(values_of(lse)[1], -std::numeric_limits<double>::infinity());
  });
}

struct Gradients {
  Tensor d_q, d_k, d_v;
};

Gradients backward(const Problem& p, const Operands& in, const Result& r, const Tensor& d_out) {
  const DType dtype = in.q.dtype();
  const auto strided = [&](const Shape& shape) {
    return with_strided_rows(Tensor::zeros(shape, dtype));
  };
  const Gradients g = {strided(p.q_shape()), Tensor::empty(p.k_shape(), dtype),
                       strided(p.k_shape())};
  attention_backward(in.q, in.k, in.v, p.queries, p.tokens, p.options(), r.out, r.lse, d_out,
                     {g.d_q, g.d_k, g.d_v});
  return g;
}

TEST(AttentionBackward, ReferenceMatchesFiniteDifferences) {
  for (const bool paired : {false, true}) {
    Problem p{{4, 2, 3, paired}, 4, {}, {}};
    p.tokens.add(7);
    p.tokens.add(2);
    p.queries = suffix(p.tokens, {5, 2});
    const Operands random = random_operands(p, DType::f64);
    const Operands in = {random.q.clone(), random.k.clone(), random.v.clone()};
    Random seed(2);
    const Tensor d_out = random_tensor(seed, p.out_shape(), DType::f64);
    const Gradients g = backward(p, in, forward(p, in), d_out);
    const auto loss = [&] { return inner_product(forward(p, in).out, d_out); };
    expect_gradient(loss, in.q, g.d_q, "d_q");
    expect_gradient(loss, in.k, g.d_k, "d_k");
    expect_gradient(loss, in.v, g.d_v, "d_v");
  }
}

// dS cancels: it is a difference of terms as large as |d_out||v|, each rounded, so its error is
// some times that of P alone.
double backward_bound(DType dtype) {
  return dtype == DType::bf16 ? 2 * unit_roundoff(dtype) : tolerance(dtype, 20);
}

TEST(AttentionBackward, EveryLevelMatchesTheReferenceInDouble) {
  for (const Problem& p : problems()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Operands in = random_operands(p, dtype);
      Random random(2);
      const Tensor d_out = random_tensor(random, p.out_shape(), dtype);
      const Operands exact = in_double(in);
      const Gradients expected =
          backward(p, exact, forward(p, exact), converted(d_out, DType::f64));
      for_each_isa([&](const std::string&) {
        const Gradients got = backward(p, in, forward(p, in), d_out);
        const double bound = backward_bound(dtype);
        if (p.window != 1) {  // one key: the probability is 1, d_q and d_k are rounding noise
          expect_close(got.d_q, expected.d_q, bound, "d_q: " + text(p, dtype));
          expect_close(got.d_k, expected.d_k, bound, "d_k: " + text(p, dtype));
        }
        expect_close(got.d_v, expected.d_v, bound, "d_v: " + text(p, dtype));
      });
    }
  }
}

TEST(Attention, BitsDoNotDependOnTheThreads) {
  const int before = num_threads();
  Problem p{{4, 2, 32, true}, 0, {}, {}};
  p.tokens.add(300);
  p.tokens.add(40);
  p.queries = p.tokens;
  const Operands in = random_operands(p, DType::bf16);
  Random random(2);
  const Tensor d_out = random_tensor(random, p.out_shape(), DType::bf16);
  std::vector<double> bits[2];
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    const Result r = forward(p, in);
    const Gradients g = backward(p, in, r, d_out);
    for (const Tensor& t : {r.out, r.lse, g.d_q, g.d_k, g.d_v}) {
      const auto values = values_of(t);
      auto& all = bits[threads == 1 ? 0 : 1];
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  set_num_threads(before);
  EXPECT_EQ(bits[0], bits[1]);
}

TEST(Attention, CostCountsThePairsInsideTheMask) {
  for (const int64_t window : {0, 3, 100}) {
    Problem p{{4, 2, 8, false}, window, {}, {}};
    p.tokens.add(10);
    p.tokens.add(4);
    p.queries = suffix(p.tokens, {6, 4});
    double pairs = 0;
    for (int s = 0; s < 2; ++s) {
      for (int64_t i = 0; i < p.queries.rows(s); ++i) {
        const auto position = p.queries.past[static_cast<size_t>(s)] + i;
        pairs += static_cast<double>(window == 0 ? position + 1 : std::min(position + 1, window));
      }
    }
    Cost cost;
    {
      const ScopedCostMeter meter(cost);
      forward(p, random_operands(p, DType::bf16));
    }
    EXPECT_EQ(cost.matrix_flops, pairs * 4 * 2 * 16);
    const double keys = window == 3 ? 8 + 4 : 14;  // positions 2 to 9 of the first segment
    EXPECT_EQ(cost.state_bytes, keys * 2 * 2 * 8 * 2);
  }
}

TEST(Attention, CostCountsTheBytesOfTilesIn8Bits) {
  Problem p{{4, 2, 16, true}, 0, {}, {}};
  p.tokens.add(10);
  p.queries = suffix(p.tokens, {1});
  const Operands in = random_operands(p, DType::bf16);
  const Tiled cache = tiled(in.k, in.v, 2, tile_keys, true);
  Cost cost;
  {
    const ScopedCostMeter meter(cost);
    attention(in.q, p.queries, cache.spans, p.options(), Tensor::empty(p.out_shape(), DType::bf16));
  }
  EXPECT_EQ(cost.state_bytes, 10 * (2 * 2 * 16 + 3 * 4));
}

TEST(Attention, NamesWhatDoesNotFit) {
  const Problem p = problem({4, 2, 8, false}, 0);
  const Operands in = random_operands(p, DType::f32);
  EXPECT_EQ(fault([&] {
              attention(in.q, p.queries, fresh_spans(in.k, in.v, p.tokens), p.options(),
                        Tensor::empty({p.queries.rows(), 4, 9}, DType::f32));
            }),
            "[attention] out: expected (94, 4, 8), got (94, 4, 9)");
}

DifferentialInputs differential_inputs(Random& random, int64_t tokens, int64_t d, DType dtype) {
  const DType master = master_dtype(dtype);
  const auto vector = [&](int64_t size) {
    return random_tensor(random, {size}, master, -0.4, 0.4);
  };
  DifferentialInputs in = {
      random_tensor(random, {tokens, 4, 2 * d}, dtype), vector(d), vector(d), vector(d), vector(d),
      random_tensor(random, {2 * d}, master, 0.5, 1.5)};
  in.lambda_init = 0.35F;
  return in;
}

DifferentialInputs zero_gradients(const DifferentialInputs& in) {
  const auto zeros = [](const Tensor& t) { return Tensor::zeros(t.shape(), t.dtype()); };
  DifferentialInputs g = {zeros(in.attn),      zeros(in.lambda_q1), zeros(in.lambda_k1),
                          zeros(in.lambda_q2), zeros(in.lambda_k2), zeros(in.subln)};
  g.lambda_init = in.lambda_init;
  return g;
}

DifferentialInputs map_tensors(DifferentialInputs in, const std::function<Tensor(Tensor)>& f) {
  for (Tensor* t :
       {&in.attn, &in.lambda_q1, &in.lambda_k1, &in.lambda_q2, &in.lambda_k2, &in.subln}) {
    *t = f(*t);
  }
  return in;
}

std::vector<Tensor> tensors_of(const DifferentialInputs& in) {
  return {in.attn, in.lambda_q1, in.lambda_k1, in.lambda_q2, in.lambda_k2, in.subln};
}

TEST(Differential, ReferenceMatchesFiniteDifferences) {
  Random random(8);
  const DifferentialInputs in = differential_inputs(random, 3, 3, DType::f64);
  const Tensor out = Tensor::empty({3, 2, 6}, DType::f64);
  const Tensor d_out = random_tensor(random, out.shape(), DType::f64);
  const DifferentialInputs g = zero_gradients(in);
  differential_backward(in, d_out, g);
  const auto loss = [&] {
    differential(in, out);
    return inner_product(out, d_out);
  };
  for (size_t i = 0; i < tensors_of(in).size(); ++i) {
    expect_gradient(loss, tensors_of(in)[i], tensors_of(g)[i], fmt::format("input {}", i));
  }
}

TEST(Differential, EveryLevelMatchesTheReferenceInDouble) {
  for (const int64_t d : {5, 16, 64}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      Random random(9);
      const DifferentialInputs in = differential_inputs(random, 70, d, dtype);
      const DifferentialInputs exact =
          map_tensors(in, [](const Tensor& t) { return converted(t, DType::f64); });
      const Tensor d_out = random_tensor(random, {70, 2, 2 * d}, dtype);
      const Tensor expected = Tensor::empty({70, 2, 2 * d}, DType::f64);
      differential(exact, expected);
      const DifferentialInputs expected_g = zero_gradients(exact);
      differential_backward(exact, converted(d_out, DType::f64), expected_g);
      for_each_isa([&](const std::string&) {
        const Tensor out = Tensor::empty({70, 2, 2 * d}, dtype);
        differential(in, out);
        expect_close(out, expected, tolerance(dtype, 20), "out");
        const DifferentialInputs g = zero_gradients(in);
        differential_backward(in, d_out, g);
        expect_close(g.attn, expected_g.attn, tolerance(dtype, 50), "d_attn");
        for (size_t i = 1; i < 6; ++i) {
          // Lambda's gradient is a sum over all rows of terms of both signs.
          expect_close(tensors_of(g)[i], tensors_of(expected_g)[i], tolerance(DType::f32, 1000),
                       fmt::format("input {}", i));
        }
      });
    }
  }
}

}  // namespace
}  // namespace sambay::ops
