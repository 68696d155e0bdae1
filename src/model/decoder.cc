#include "model/decoder.h"

#include <optional>

#include "autograd/recording.h"
#include "model/layer.h"
#include "model/plan.h"
#include "model/wiring.h"
#include "ops/elementwise.h"

namespace sambay {
namespace {

// s x.
Var scaled(Exec& exec, const Var& x, float s) {
  if (s == 1.0F) {
    return x;
  }
  const Tensor value = exec.empty(x.value.shape(), x.value.dtype());
  ops::scale_cast(x.value, s, value);
  if (!exec.recording() || !x.tracked()) {
    return {value};
  }
  Tape& tape = *exec.tape;
  Var out = tape.track(value);
  tape.record({out}, [&tape, x = handle(x), out = handle(out), s] {
    InputGradient d_x(tape, x);
    ops::scale_cast(tape.gradient(out), s, d_x.tensor());
    d_x.finish();
  });
  return out;
}

// The Vars of a memory, as inputs and outputs of a recomputed layer, and back.
void append_vars(const Memory& memory, std::vector<Var>& vars) {
  if (memory.rows.value.defined()) {
    vars.push_back(memory.rows);
  } else {
    vars.push_back(memory.k);
    vars.push_back(memory.v);
  }
}

size_t assign_vars(Memory& memory, std::span<const Var> vars) {
  if (memory.rows.value.defined()) {
    memory.rows = vars[0];
    return 1;
  }
  memory.k = vars[0];
  memory.v = vars[1];
  return 2;
}

}  // namespace

struct Decoder::Impl {
  explicit Impl(ModelConfig model);

  ModelConfig config;
  ParamStore params;
  Param* embedding = nullptr;
  Param* head = nullptr;
  std::vector<Layer> layers;
  std::vector<LayerNeeds> needs;
  std::optional<Norm> final_norm;

  void check_input(const Exec& exec, const ForwardInput& input) const;
  Var run_layers(Exec& exec, Var x, const ForwardInput& input, const RowPlan& plan) const;
  Var run_layer(Exec& exec, size_t index, const Var& x, LayerCall& call) const;
};

Decoder::Impl::Impl(ModelConfig model) : config(std::move(model)) {
  const ParamScope root(params, "transformer");
  const Shape table{config.padded_vocab_size, config.width};
  embedding = &root.add("wte.weight", table, Role::embedding, Init::embedding);
  Wiring wiring;
  layers.reserve(config.layers.size());
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerSpec& spec = config.layers[i];
    const std::string where = fmt::format("config.json: layers[{}]", i);
    const Layer& layer = layers.emplace_back(spec, config, wiring.reads(spec, where),
                                             root.child(fmt::format("h.{}", i)), where);
    needs.push_back(wiring.add(spec, layer.mixer(), layer.writes(), where));
  }
  final_norm.emplace(make_norm(config, root.child("ln_f")));
  head = config.tied_embeddings
             ? embedding
             : &params.add("lm_head.weight", table, Role::readout, Init::readout);
}

void Decoder::Impl::check_input(const Exec& exec, const ForwardInput& input) const {
  const auto segments = static_cast<size_t>(input.segments.count());
  check(static_cast<int64_t>(input.ids.size()) == input.segments.rows(),
        "a forward has as many ids as rows");
  check(input.states.empty() || input.states.size() == segments, "each segment has a state");
  check(input.states.empty() || !exec.recording(), "recorded passes run without states");
  check(input.wanted.empty() || input.wanted.size() == segments,
        "each segment says how many rows are wanted");
  for (size_t s = 0; s < input.states.size(); ++s) {
    check(input.states[s]->length() == input.segments.past[s],
          "a segment begins where its state ends");
  }
}

Var Decoder::Impl::run_layer(Exec& exec, size_t index, const Var& x, LayerCall& call) const {
  const Layer& layer = layers[index];
  if (!exec.recording() || !exec.recompute_layers) {
    return layer.forward(exec, x, call);
  }
  std::vector<Var> inputs{x};
  for (const auto& [port, memory] : call.reads) {
    append_vars(memory, inputs);
  }
  // The layer runs a second time in the backward, when this frame is gone.
  const auto again = std::make_shared<LayerCall>(call);
  auto outputs = recompute(exec, inputs, [&layer, again](Exec& inner, std::span<const Var> vars) {
    LayerCall own = *again;
    size_t next = 1;
    for (auto& [port, memory] : own.reads) {
      next += assign_vars(memory, vars.subspan(next));
    }
    std::vector<Var> results{layer.forward(inner, vars[0], own)};
    for (const auto& [port, memory] : own.writes) {
      append_vars(memory, results);
    }
    again->writes = own.writes;
    return results;
  });
  call.writes = std::move(again->writes);
  again->writes.clear();
  size_t next = 1;
  for (auto& [port, memory] : call.writes) {
    next += assign_vars(memory, std::span(outputs).subspan(next));
  }
  return outputs[0];
}

Var Decoder::Impl::run_layers(Exec& exec, Var x, const ForwardInput& input,
                              const RowPlan& plan) const {
  std::map<std::string, Memory> memories;
  std::vector<LayerState*> states(input.states.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerSpec& spec = config.layers[i];
    for (size_t s = 0; s < states.size(); ++s) {
      states[s] = &input.states[s]->layer(i);
    }
    LayerCall call{plan.layers[i].input, plan.layers[i].output, states, {}, {}, {}};
    for (const auto& [port, name] : spec.reads) {
      Memory memory = memories.at(name);
      if (memory.rows.value.defined()) {
        memory.rows = select_rows(exec, memory.rows, memory.segments, call.input);
        memory.segments = call.input;
      }
      call.reads.emplace(port, std::move(memory));
    }
    for (const auto& [port, name] : spec.writes) {
      call.write.push_back(port);
    }
    x = run_layer(exec, i, x, call);
    if (call.output.rows() == 0) {
      break;  // no later layer is asked for anything
    }
    for (const auto& [port, name] : spec.writes) {
      Memory& memory = memories[name] = std::move(call.writes.at(port));
      // Only what some reader reads is kept.
      const auto read = plan.memories.find(name);
      if (memory.rows.value.defined() && read != plan.memories.end()) {
        memory.rows = select_rows(exec, memory.rows, memory.segments, read->second);
        memory.segments = read->second;
      }
    }
  }
  return x;
}

Decoder::Decoder(ModelConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const ModelConfig& Decoder::config() const {
  return impl_->config;
}

ParamStore& Decoder::params() {
  return impl_->params;
}

const ParamStore& Decoder::params() const {
  return impl_->params;
}

ModelStateSpec Decoder::state_spec(const Precision& precision) const {
  ModelStateSpec spec;
  for (const auto& layer : impl_->layers) {
    spec.push_back(layer.mixer().state_spec(precision));
  }
  return spec;
}

Var Decoder::hidden(Exec& exec, const ForwardInput& input) const {
  impl_->check_input(exec, input);
  auto wanted = input.wanted;
  for (int s = 0; input.wanted.empty() && s < input.segments.count(); ++s) {
    wanted.push_back(static_cast<int32_t>(input.segments.rows(s)));
  }
  const RowPlan plan = plan_rows(impl_->needs, input.segments, wanted);
  for (size_t s = 0; s < input.states.size(); ++s) {
    input.states[s]->reserve(input.segments.rows(static_cast<int>(s)));
  }
  const Segments& first = plan.layers.front().input;
  const Segments& last = plan.layers.back().output;
  Var x = select_rows(exec, embedding(exec, input.ids, impl_->embedding->weight), input.segments,
                      first);
  x = impl_->run_layers(exec, x, input, plan);
  for (size_t s = 0; s < input.states.size(); ++s) {
    input.states[s]->advance(input.segments.rows(static_cast<int>(s)));
  }
  if (last.rows() == 0) {
    return {exec.empty({0, impl_->config.width}, exec.precision.compute)};
  }
  return scaled(exec, impl_->final_norm->forward(exec, x), impl_->config.logit_multiplier);
}

Tensor Decoder::logits(Exec& exec, const ForwardInput& input) const {
  const Var h = hidden(exec, input);
  const int64_t vocabulary = impl_->config.vocab_size;
  Tensor out = exec.empty({h.value.dim(0), vocabulary}, exec.precision.accum);
  if (h.value.dim(0) > 0) {
    apply_linear(h.value, impl_->head->weight.rows(0, vocabulary), {}, out);
  }
  return out;
}

ops::CrossEntropySums Decoder::loss(Exec& exec, const ForwardInput& input,
                                    std::span<const int32_t> targets,
                                    const LossOptions& options) const {
  const Weight& weight = impl_->head->weight;
  const auto sums = [&](const Tensor& h, const Tensor& d_h, const Tensor& d_weight) {
    check(static_cast<int64_t>(targets.size()) == h.dim(0), "each wanted row has a target");
    if (weight.quantized.defined()) {
      check(!options.gradients, "quantized weights have no gradients");
      return ops::linear_cross_entropy(h, weight.quantized, targets, impl_->config.vocab_size,
                                       options.cross_entropy);
    }
    return ops::linear_cross_entropy(h, weight.value, targets, impl_->config.vocab_size,
                                     options.cross_entropy, d_h, d_weight);
  };
  if (!options.gradients) {
    return sums(hidden(exec, input).value, {}, {});
  }
  Tape own_tape(*exec.arena);
  Exec recorded = exec;
  if (recorded.tape == nullptr) {
    recorded.tape = &own_tape;
  }
  const Var h = hidden(recorded, input);
  const Tensor d_h = recorded.empty(h.value.shape(), h.value.dtype());
  const auto result = sums(h.value, d_h, weight.gradient);
  recorded.tape->backward(h, d_h);
  return result;
}

}  // namespace sambay
