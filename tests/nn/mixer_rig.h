// One mixer under test: its parameters, sequences of inputs, and forwards over any of their tokens.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nn/mixer.h"
#include "ops/op_test_util.h"
#include "support/kv_rows.h"
#include "support/layer_state.h"

namespace sambay::testing {

using ops::testing::converted;
using ops::testing::Random;
using ops::testing::random_tensor;

struct MixerCase {
  std::string name;  // letters, digits and underscores
  nlohmann::json options;
  std::map<std::string, MemorySpec> reads = {};
};

inline void PrintTo(const MixerCase& mixer_case, std::ostream* out) {  // NOLINT: gtest's name
  *out << mixer_case.name;
}

inline constexpr int64_t rig_width = 8;  // D

// Every kind in the registry with its example options, reading what it says it reads, and variants.
inline std::vector<MixerCase> mixer_cases() {
  std::vector<MixerCase> cases;
  for (const std::string& kind : mixer_kinds()) {
    MixerCase example{kind, example_options(kind, rig_width)};
    ParamStore store;
    const auto mixer = make_mixer(example.options, {rig_width, {}}, {store, "x"}, "example");
    for (const Port& port : mixer->reads()) {
      example.reads[port.name] = port.memory;
    }
    cases.push_back(std::move(example));
  }
  for (const std::string kind : {"attention", "diff_attention"}) {
    nlohmann::json options = example_options(kind, rig_width);
    const MemorySpec kv = {.kind = MemorySpec::Kind::kv,
                           .kv_heads = options["kv_heads"],
                           .head_dim = options["head_dim"]};
    options["rope_base"] = 0;
    options["qkv_bias"] = false;
    options["out_bias"] = false;
    cases.push_back({kind + "_plain", options});
    options["window"] = 5;
    cases.push_back({kind + "_windowed", options});
    options["window"] = 0;
    cases.push_back({kind + "_cross", options, {{"kv", kv}}});
    options["rope_base"] = 100;
    options["qkv_bias"] = true;
    options["window"] = 5;
    cases.push_back({kind + "_windowed_with_positions_and_biases", options});
    cases.push_back({kind + "_cross_windowed_with_positions", options, {{"kv", kv}}});
  }
  return cases;
}

// A sequence's inputs, all drawn at once, and what is kept of it.
struct RigSequence {
  Tensor h;                              // (tokens, D)
  std::map<std::string, Tensor> memory;  // rows (tokens, width); "k", "v" (tokens, K d)
  LayerState state;
  int64_t length = 0;

  int64_t tokens() const { return h.dim(0); }
};

// The tokens [from, to) of a sequence, of which the last `wanted` are asked for.
struct Piece {
  RigSequence* sequence;
  int64_t from, to, wanted;
};

inline Tensor concatenated(const std::vector<Tensor>& parts) {
  int64_t rows = 0;
  for (const Tensor& part : parts) {
    rows += part.dim(0);
  }
  Shape shape = parts.at(0).shape();
  shape.set(0, rows);
  const Tensor out = Tensor::empty(shape, parts[0].dtype());
  rows = 0;
  for (const Tensor& part : parts) {
    out.slice(0, rows, rows + part.dim(0)).copy_from(part);
    rows += part.dim(0);
  }
  return out;
}

class MixerRig {
 public:
  MixerRig(const MixerCase& mixer_case, const Precision& precision)
      : precision_(precision), reads_(mixer_case.reads) {
    mixer_ = make_mixer(mixer_case.options, {rig_width, reads_},
                        ParamScope(store_, "transformer.h.0.attn"), "test");
    Random random(17);
    for (Param& param : store_.all()) {
      param.weight.value = random_tensor(random, param.shape, param.dtype(precision), -0.5, 0.5);
    }
  }

  Mixer& mixer() { return *mixer_; }
  ParamStore& params() { return store_; }

  RigSequence sequence(Random& random, int64_t tokens) const {
    const auto draw = [&](int64_t width) {
      return random_tensor(random, {tokens, width}, precision_.compute);
    };
    RigSequence out{draw(rig_width), {}, {}, 0};
    for (const auto& [port, memory] : reads_) {
      if (memory.kind == MemorySpec::Kind::rows) {
        out.memory[port] = draw(memory.width);
      } else {
        out.memory["k"] = draw(memory.kv_heads * memory.head_dim);
        out.memory["v"] = draw(memory.kv_heads * memory.head_dim);
      }
    }
    reset(out);
    return out;
  }
  void reset(RigSequence& sequence) const {
    sequence.state = make_layer_state(mixer_->state_spec(precision_), sequence.tokens());
    sequence.length = 0;
  }

  struct Result {
    Tensor out;                            // (wanted, D)
    std::map<std::string, Tensor> writes;  // rows ports alone
    Segments rows, wanted;
    std::vector<int64_t> keys;  // of the port "kv", a segment
    Tensor k, v;                // (all keys, K, d)
  };

  // With states each piece must go on where its sequence stands.
  Result run(const std::vector<Piece>& pieces, bool with_states) const {
    Exec exec = {.arena = &default_arena(Device::cpu), .tape = nullptr, .precision = precision_};
    MixerCall call;
    std::vector<LayerState*> states;
    std::vector<int32_t> wanted;
    for (const Piece& piece : pieces) {
      call.rows.add(piece.to - piece.from, piece.from);
      wanted.push_back(static_cast<int32_t>(piece.wanted));
      if (with_states) {
        check(piece.sequence->length == piece.from, "a piece goes on where its sequence stands");
        piece.sequence->length = piece.to;
        states.push_back(&piece.sequence->state);
      }
    }
    call.states = states;
    call.wanted = suffix(call.rows, wanted);
    for (const auto& [port, memory] : reads_) {
      call.reads[port] = read(memory, port, pieces, call.rows, with_states);
    }
    for (const Port& port : mixer_->writes()) {
      call.write.push_back(port.name);
    }
    const Var h = {gather(pieces, [](const RigSequence& s) { return s.h; })};
    Result result{mixer_->forward(exec, h, call).value, {}, call.rows, call.wanted, {}, {}, {}};
    for (const Port& port : mixer_->writes()) {
      const Memory& memory = call.writes.at(port.name);
      if (port.memory.kind == MemorySpec::Kind::rows) {
        result.writes[port.name] = memory.rows.value;
      } else {
        take_keys(memory, port.memory, result);
      }
    }
    return result;
  }

  // A whole sequence without state: what every other way of running it must equal.
  Result whole(RigSequence& sequence) const {
    return run({{&sequence, 0, sequence.tokens(), sequence.tokens()}}, false);
  }

  // The port's rows are at every row, or at the wanted ones.
  bool at_every_row(const std::string& name) const {
    const auto ports = mixer_->writes();
    return std::any_of(ports.begin(), ports.end(),
                       [&](const Port& port) { return port.name == name && port.at_every_row; });
  }

 private:
  template <class Part>
  static Tensor gather(const std::vector<Piece>& pieces, Part part) {
    std::vector<Tensor> parts;
    for (const Piece& piece : pieces) {
      parts.push_back(part(*piece.sequence).slice(0, piece.from, piece.to));
    }
    return concatenated(parts);
  }

  Memory read(const MemorySpec& memory, const std::string& port, const std::vector<Piece>& pieces,
              const Segments& rows, bool with_states) const {
    const auto part = [&](const std::string& name) {
      return gather(pieces, [&](const RigSequence& s) { return s.memory.at(name); });
    };
    Memory out{.segments = rows};
    if (memory.kind == MemorySpec::Kind::rows) {
      out.rows = {part(port)};
    } else if (!with_states) {
      out.k = {part("k")};
      out.v = {part("v")};
    } else {
      auto spans = std::make_shared<ops::KvSpans>();
      for (const Piece& piece : pieces) {
        const Tensor k = piece.sequence->memory.at("k").split_last(memory.kv_heads);
        const Tensor v = piece.sequence->memory.at("v").split_last(memory.kv_heads);
        spans->spans.push_back(
            {k.raw(), v.raw(), 0, piece.to, k.stride(0), k.stride(1), v.stride(0), v.stride(1)});
        spans->end_segment();
      }
      spans->dtype = precision_.compute;
      out.spans = std::move(spans);
    }
    return out;
  }

  // The port "kv" as dense tensors, whichever form it has.
  void take_keys(const Memory& memory, const MemorySpec& spec, Result& result) const {
    if (memory.spans == nullptr) {
      result.k = memory.k.value.split_last(spec.kv_heads);
      result.v = memory.v.value.split_last(spec.kv_heads);
      for (int s = 0; s < memory.segments.count(); ++s) {
        result.keys.push_back(memory.segments.rows(s));
      }
      return;
    }
    const Tensor none = Tensor::empty({0, spec.kv_heads, spec.head_dim}, precision_.compute);
    std::vector<Tensor> ks = {none}, vs = {none};
    for (size_t s = 0; s + 1 < memory.spans->begin.size(); ++s) {
      int64_t keys = 0;
      for (auto i = memory.spans->begin[s]; i < memory.spans->begin[s + 1]; ++i) {
        const ops::KvSpan& span = memory.spans->spans[static_cast<size_t>(i)];
        check(span.first == keys, "spans follow each other");
        keys += span.count;
        const KvRows rows = rows_of(span, precision_.compute, spec.kv_heads, spec.head_dim);
        ks.push_back(rows.k);
        vs.push_back(rows.v);
      }
      result.keys.push_back(keys);
    }
    result.k = concatenated(ks);
    result.v = concatenated(vs);
  }

  Precision precision_;
  std::map<std::string, MemorySpec> reads_;
  ParamStore store_;
  std::unique_ptr<Mixer> mixer_;
};

}  // namespace sambay::testing
