// The contract of nn/mixer.h, for every kind in the registry and its variants.
#include "nn/mixer_rig.h"
#include "support/gradient_check.h"

namespace sambay::testing {
namespace {

using ops::testing::expect_close;
using ops::testing::unit_roundoff;
using ops::testing::values_of;

constexpr Precision f64 = {DType::f64, DType::f64};
constexpr Precision f32 = {DType::f32, DType::f32};
constexpr Precision bf16 = {DType::bf16, DType::f32};

// Two ways of computing the same: sums in another order differ by some roundings of the
// accumulation, which a rounding to the compute dtype on the way can turn into one of that.
double tolerance(const Precision& precision) {
  constexpr double chained_roundings = 4, chained_sums = 64;
  return precision.compute == precision.accum
             ? chained_sums * unit_roundoff(precision.accum)
             : chained_roundings * unit_roundoff(precision.compute);
}

class MixerContract : public ::testing::TestWithParam<MixerCase> {
 protected:
  // In f64 there is one implementation, the reference; the others run at every instruction set.
  static void for_each_setting(const std::function<void(const MixerRig&, double)>& body) {
    body(MixerRig(GetParam(), f64), tolerance(f64));
    for (const Precision& precision : {f32, bf16}) {
      SCOPED_TRACE(name(precision.compute));
      ops::testing::for_each_isa(
          [&](const std::string&) { body(MixerRig(GetParam(), precision), tolerance(precision)); });
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Cases, MixerContract, ::testing::ValuesIn(mixer_cases()),
                         [](const auto& tested) { return tested.param.name; });

// Pieces of 1 to 40 tokens, an empty one at times; wanted: some of the last.
std::vector<Piece> random_pieces(Random& random, RigSequence& sequence) {
  std::vector<Piece> pieces;
  for (int64_t at = 0; at < sequence.tokens();) {
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    const int64_t size = std::min(draw(0, 4) == 0 ? 0 : draw(1, 40), sequence.tokens() - at);
    pieces.push_back({&sequence, at, at + size, draw(0, size)});
    at += size;
  }
  return pieces;
}

// What a run of pieces gave, against the same rows of the whole.
void expect_same(const MixerRig& rig, const MixerRig::Result& got, const std::vector<Piece>& pieces,
                 const std::map<const RigSequence*, MixerRig::Result>& whole, double bound) {
  int64_t key_begin = 0;
  for (size_t s = 0; s < pieces.size(); ++s) {
    const Piece& piece = pieces[s];
    const MixerRig::Result& all = whole.at(piece.sequence);
    const auto compare = [&](const Tensor& part, const Segments& rows, const Tensor& expected,
                             const std::string& what) {
      const int64_t begin = rows.begin[s], count = rows.rows(static_cast<int>(s));
      expect_close(part.slice(0, begin, begin + count),
                   expected.slice(0, piece.to - count, piece.to), bound,
                   fmt::format("{}, tokens {} to {}", what, piece.to - count, piece.to));
    };
    compare(got.out, got.wanted, all.out, "output");
    for (const auto& [port, rows] : got.writes) {
      compare(rows, rig.at_every_row(port) ? got.rows : got.wanted, all.writes.at(port), port);
    }
    if (!got.keys.empty()) {
      const int64_t key_end = key_begin + got.keys[s];
      expect_close(got.k.slice(0, key_begin, key_end),
                   all.k.slice(0, piece.to - got.keys[s], piece.to), bound, "keys");
      expect_close(got.v.slice(0, key_begin, key_end),
                   all.v.slice(0, piece.to - got.keys[s], piece.to), bound, "values");
      key_begin = key_end;
    }
  }
}

std::map<const RigSequence*, MixerRig::Result> wholes(const MixerRig& rig,
                                                      std::vector<RigSequence>& sequences) {
  std::map<const RigSequence*, MixerRig::Result> out;
  for (RigSequence& sequence : sequences) {
    out.emplace(&sequence, rig.whole(sequence));
  }
  return out;
}

TEST_P(MixerContract, ChunksAndSingleTokensEqualTheWhole) {
  for_each_setting([](const MixerRig& rig, double bound) {
    Random random(1);
    std::vector<RigSequence> sequences = {rig.sequence(random, page_tokens + 13)};
    RigSequence& sequence = sequences[0];
    const auto whole = wholes(rig, sequences);
    std::vector<Piece> once = {{&sequence, 0, sequence.tokens(), sequence.tokens()}}, tokens;
    for (int64_t t = 0; t < sequence.tokens(); ++t) {
      tokens.push_back({&sequence, t, t + 1, 1});
    }
    for (const auto& pieces : {once, tokens, random_pieces(random, sequence)}) {
      SCOPED_TRACE(pieces.size());
      rig.reset(sequence);
      for (const Piece& piece : pieces) {
        expect_same(rig, rig.run({piece}, true), {piece}, whole, bound);
      }
    }
  });
}

TEST_P(MixerContract, PackedSequencesEqualSeparateOnes) {
  for_each_setting([](const MixerRig& rig, double bound) {
    Random random(2);
    std::vector<RigSequence> sequences;
    for (const int64_t tokens : {9, 0, 1, 30}) {
      sequences.push_back(rig.sequence(random, tokens));
    }
    const auto whole = wholes(rig, sequences);
    std::vector<Piece> pieces;
    for (RigSequence& sequence : sequences) {
      pieces.push_back({&sequence, 0, sequence.tokens(), sequence.tokens()});
    }
    expect_same(rig, rig.run(pieces, false), pieces, whole, bound);
  });
}

TEST_P(MixerContract, SequencesAtDifferentPositionsShareACall) {
  for_each_setting([](const MixerRig& rig, double bound) {
    Random random(3);
    std::vector<RigSequence> sequences;
    for (const int64_t tokens : {12, 70, 30}) {
      sequences.push_back(rig.sequence(random, tokens));
    }
    const auto whole = wholes(rig, sequences);
    std::vector<std::vector<Piece>> plans;
    size_t calls = 0;
    for (RigSequence& sequence : sequences) {
      plans.push_back(random_pieces(random, sequence));
      calls = std::max(calls, plans.back().size());
    }
    for (size_t i = 0; i < calls; ++i) {
      std::vector<Piece> pieces;
      for (const auto& plan : plans) {
        if (i < plan.size()) {
          pieces.push_back(plan[i]);
        }
      }
      expect_same(rig, rig.run(pieces, true), pieces, whole, bound);
    }
  });
}

TEST_P(MixerContract, WantedRowsEqualThoseOfTheFullResult) {
  for_each_setting([](const MixerRig& rig, double bound) {
    Random random(4);
    std::vector<RigSequence> sequences = {rig.sequence(random, 11), rig.sequence(random, 6),
                                          rig.sequence(random, 7)};
    const auto whole = wholes(rig, sequences);
    for (const std::array<int64_t, 3>& wanted :
         {std::array<int64_t, 3>{1, 1, 1}, {4, 0, 7}, {0, 0, 0}}) {
      std::vector<Piece> pieces;
      for (size_t i = 0; i < sequences.size(); ++i) {
        pieces.push_back({&sequences[i], 0, sequences[i].tokens(), wanted[i]});
      }
      expect_same(rig, rig.run(pieces, false), pieces, whole, bound);
    }
  });
}

// Output and memories as functions of h, of what is read and of all parameters.
GradientCheck gradient_check(MixerRig& rig, const Segments& rows, const Segments& wanted) {
  Random random(5);
  GradientCheck check;
  check.inputs.push_back(random_tensor(random, {rows.rows(), rig_width}, DType::f64));
  std::vector<Port> reads = rig.mixer().reads();
  for (const Port& port : reads) {
    const MemorySpec& memory = port.memory;
    const bool kv = memory.kind == MemorySpec::Kind::kv;
    const int64_t width = kv ? memory.kv_heads * memory.head_dim : memory.width;
    for (int i = 0; i < (kv ? 2 : 1); ++i) {
      check.inputs.push_back(random_tensor(random, {rows.rows(), width}, DType::f64));
    }
  }
  for (Param& param : rig.params().all()) {
    param.weight.gradient = Tensor::zeros(param.shape, DType::f64);
    check.weights.push_back(&param.weight);
  }
  check.body = [&rig, reads, rows, wanted](Exec& exec, std::span<const Var> in) {
    MixerCall call{rows, wanted, {}, {}, {}, {}};
    size_t next = 1;
    for (const Port& port : reads) {
      Memory& memory = call.reads[port.name];
      memory.segments = rows;
      if (port.memory.kind == MemorySpec::Kind::kv) {
        memory.k = in[next++];
        memory.v = in[next++];
      } else {
        memory.rows = in[next++];
      }
    }
    for (const Port& port : rig.mixer().writes()) {
      call.write.push_back(port.name);
    }
    std::vector<Var> results = {rig.mixer().forward(exec, in[0], call)};
    for (const auto& [port, memory] : call.writes) {
      for (const Var& var : {memory.rows, memory.k, memory.v}) {
        if (var.value.defined()) {
          results.push_back(var);
        }
      }
    }
    return results;
  };
  return check;
}

TEST_P(MixerContract, GradientsEqualFiniteDifferences) {
  MixerRig rig(GetParam(), f64);
  Segments rows;
  for (const int64_t count : {5, 0, 2}) {
    rows.add(count);
  }
  expect_gradients(gradient_check(rig, rows, rows), "all rows");
  expect_gradients(gradient_check(rig, rows, suffix(rows, {2, 0, 1})), "some rows");
}

TEST_P(MixerContract, AMetaDeviceRunsWithoutMemory) {
  Arena& arena = default_arena(Device::meta);
  ParamStore store;
  const auto mixer =
      make_mixer(GetParam().options, {rig_width, GetParam().reads}, {store, "x"}, GetParam().name);
  for (Param& param : store.all()) {
    param.weight.value = Tensor::empty(param.shape, param.dtype(f32), arena);
    param.weight.gradient = Tensor::empty(param.shape, DType::f32, arena);
  }
  Tape tape(arena);
  Exec exec = {.arena = &arena, .tape = &tape, .precision = f32};
  MixerCall call;
  call.rows.add(5);
  call.wanted = call.rows;
  for (const auto& [port, memory] : GetParam().reads) {
    const auto rows = [&](int64_t width) {
      return tape.leaf(Tensor::empty({5, width}, DType::f32, arena));
    };
    call.reads[port].segments = call.rows;
    if (memory.kind == MemorySpec::Kind::rows) {
      call.reads[port].rows = rows(memory.width);
    } else {
      call.reads[port].k = rows(memory.kv_heads * memory.head_dim);
      call.reads[port].v = rows(memory.kv_heads * memory.head_dim);
    }
  }
  const Var h = tape.leaf(Tensor::empty({5, rig_width}, DType::f32, arena));
  const Var out = mixer->forward(exec, h, call);
  EXPECT_EQ(out.value.shape(), Shape({5, rig_width}));
  tape.backward(out, Tensor::empty({5, rig_width}, DType::f32, arena));
  EXPECT_TRUE(tape.received(h));

  if (!mixer->state_spec(f32).empty()) {
    LayerState state = make_layer_state(mixer->state_spec(f32), 5, arena);
    LayerState* const states[] = {&state};
    exec.tape = nullptr;
    call.states = states;
    EXPECT_EQ(mixer->forward(exec, {h.value}, call).value.shape(), Shape({5, rig_width}));
  }
}

}  // namespace
}  // namespace sambay::testing
