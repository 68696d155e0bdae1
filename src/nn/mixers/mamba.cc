#include "nn/mixers/mamba.h"

#include <array>

namespace sambay {
namespace {

// Buffers of the StateSpec.
constexpr size_t conv_buffer = 0;
constexpr size_t ssm_buffer = 1;

struct MambaConfig {
  int64_t inner = 0;    // E
  int64_t state = 0;    // N
  int64_t conv = 0;     // W
  int64_t dt_rank = 0;  // Rt
};

std::vector<void*> state_pointers(std::span<LayerState* const> states, size_t buffer) {
  std::vector<void*> pointers;
  pointers.reserve(states.size());
  for (const LayerState* state : states) {
    pointers.push_back(state->buffers[buffer].data.raw());
  }
  return pointers;
}

class Mamba : public Mixer {
 public:
  Mamba(const MambaConfig& config, int64_t width, const ParamScope& scope);

  StateSpec state_spec(const Precision& precision) const override {
    return {{"conv", StateKind::fixed, {config_.conv - 1, config_.inner}, precision.accum},
            {"ssm", StateKind::fixed, {config_.inner, config_.state}, precision.accum}};
  }
  std::vector<Port> writes() const override {
    return {{.name = "scan",
             .memory = {.kind = MemorySpec::Kind::rows, .width = config_.inner},
             .at_every_row = true}};
  }
  Var forward(Exec& exec, const Var& h, MixerCall& call) const override;

 private:
  struct Inputs {
    Var u;  // every row
    Var z;  // wanted rows
  };
  Inputs project_in(Exec& exec, const Var& h, const MixerCall& call) const;
  Var scan(Exec& exec, const Var& u, const MixerCall& call) const;

  MambaConfig config_;
  const Param* in_proj_;
  const Param* conv_;
  const Param* conv_bias_;
  const Param* x_proj_;
  const Param* dt_proj_;
  const Param* dt_bias_;
  const Param* a_log_;
  const Param* skip_;
  const Param* out_proj_;
};

Mamba::Mamba(const MambaConfig& config, int64_t width, const ParamScope& scope) : config_(config) {
  const auto [inner, state, conv, dt_rank] = config;
  in_proj_ = &scope.child("in_proj").add("weight", {2 * inner, width}, Role::hidden, Init::linear);
  const ParamScope conv1d = scope.child("conv1d");
  conv_ = &conv1d.add("weight", {inner, 1, conv}, Role::vector, Init::filter);
  conv_bias_ = &conv1d.add("bias", {inner}, Role::vector, Init::filter_bias);
  x_proj_ = &scope.child("x_proj").add("weight", {dt_rank + 2 * state, inner}, Role::hidden,
                                       Init::linear);
  const ParamScope dt_proj = scope.child("dt_proj");
  dt_proj_ = &dt_proj.add("weight", {inner, dt_rank}, Role::hidden, Init::dt_proj);
  dt_bias_ = &dt_proj.add("bias", {inner}, Role::ssm_scalar, Init::dt_bias);
  a_log_ = &scope.add("A_log", {inner, state}, Role::ssm_scalar, Init::a_log);
  skip_ = &scope.add("D", {inner}, Role::ssm_scalar, Init::ones);
  out_proj_ =
      &scope.child("out_proj").add("weight", {width, inner}, Role::hidden, Init::output_linear);
}

// Where fewer rows are wanted than given, z, which only gates the output, is made for those alone.
Mamba::Inputs Mamba::project_in(Exec& exec, const Var& h, const MixerCall& call) const {
  const int64_t inner = config_.inner;
  if (call.wanted == call.rows) {
    const auto parts =
        split_last(exec, linear(exec, h, in_proj_->weight), std::array{inner, inner});
    return {parts[0], parts[1]};
  }
  const Var wanted = select_rows(exec, h, call.rows, call.wanted);
  return {linear(exec, h, in_proj_->weight.rows(0, inner)),
          linear(exec, wanted, in_proj_->weight.rows(inner, 2 * inner))};
}

Var Mamba::scan(Exec& exec, const Var& u, const MixerCall& call) const {
  const auto parts = split_last(exec, linear(exec, u, x_proj_->weight),
                                std::array{config_.dt_rank, config_.state, config_.state});
  const SelectiveScanVars vars = {.u = u,
                                  .dt_raw = linear(exec, parts[0], dt_proj_->weight),
                                  .b = parts[1],
                                  .c = parts[2],
                                  .a_log = &a_log_->weight,
                                  .skip = &skip_->weight,
                                  .dt_bias = &dt_bias_->weight};
  return selective_scan(exec, vars, call.rows, state_pointers(call.states, ssm_buffer));
}

Var Mamba::forward(Exec& exec, const Var& h, MixerCall& call) const {
  const Inputs in = project_in(exec, h, call);
  const Var u = causal_conv1d(exec, in.u, conv_->weight, &conv_bias_->weight, true, call.rows,
                              state_pointers(call.states, conv_buffer));
  const Var y = scan(exec, u, call);
  if (call.writes_port("scan")) {
    call.writes["scan"] = {.segments = call.rows, .rows = y};
  }
  const Var gated = silu_mul(exec, in.z, select_rows(exec, y, call.rows, call.wanted));
  return linear(exec, gated, out_proj_->weight);
}

}  // namespace

std::unique_ptr<Mixer> make_mamba(JsonFields& fields, const MixerContext& context,
                                  const ParamScope& scope) {
  constexpr int64_t max_width = int64_t{1} << 24;
  const MambaConfig config = {.inner = fields.integer("inner", 1, max_width),
                              .state = fields.integer("state", 1, 64),
                              .conv = fields.integer("conv", 2, 8),
                              .dt_rank = fields.integer("dt_rank", 1, max_width)};
  return std::make_unique<Mamba>(config, context.width, scope);
}

nlohmann::json example_mamba(int64_t width) {
  return {{"inner", 2 * width}, {"state", 16}, {"conv", 4}, {"dt_rank", (width + 15) / 16}};
}

}  // namespace sambay
