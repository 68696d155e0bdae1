#include "model/layer.h"

#include <algorithm>

namespace sambay {
namespace {

constexpr const char* up_port = "up";

}  // namespace

Norm::Norm(const ModelConfig& config, const ParamScope& scope)
    : eps_(config.norm_eps),
      weight_(&scope.add("weight", {config.width}, Role::vector, Init::ones)) {
  if (config.norm == NormKind::layer) {
    bias_ = &scope.add("bias", {config.width}, Role::vector, Init::zeros);
  }
}

Var Norm::forward(Exec& exec, const Var& x) const {
  return bias_ != nullptr ? layer_norm(exec, x, weight_->weight, bias_->weight, eps_)
                          : rms_norm(exec, x, weight_->weight, eps_);
}

Layer::Layer(const LayerSpec& spec, const ModelConfig& config,
             std::map<std::string, MemorySpec> reads, const ParamScope& scope,
             const std::string& where)
    : residual_multiplier_(config.residual_multiplier),
      mlp_width_(spec.mlp_width),
      norm_1_(config, scope.child("norm_1")),
      mixer_(make_mixer(spec.mixer, {config.width, std::move(reads)}, scope.child("attn"),
                        where + ".mixer")),
      norm_2_(config, scope.child("norm_2")),
      w1_(&scope.child("mlp").add("w1.weight", {2 * mlp_width_, config.width}, Role::hidden,
                                  Init::linear)),
      w3_(&scope.child("mlp").add("w3.weight", {config.width, mlp_width_}, Role::hidden,
                                  Init::output_linear)) {}

std::vector<Port> Layer::writes() const {
  auto ports = mixer_->writes();
  ports.push_back({up_port, {.kind = MemorySpec::Kind::rows, .width = mlp_width_}, false});
  return ports;
}

Var Layer::forward(Exec& exec, const Var& x, LayerCall& call) const {
  MixerCall mixer{call.input, call.output, call.states, std::move(call.reads), {}, {}};
  std::ranges::copy_if(call.write, std::back_inserter(mixer.write),
                       [](const std::string& port) { return port != up_port; });
  const Var mixed = mixer_->forward(exec, norm_1_.forward(exec, x), mixer);
  call.writes = std::move(mixer.writes);
  const Var kept = select_rows(exec, x, call.input, call.output);
  Var out = add_scaled(exec, kept, mixed, residual_multiplier_);
  if (call.output.rows() == 0) {
    return out;
  }
  const Var h = norm_2_.forward(exec, out);
  return add_scaled(exec, out, mlp(exec, h, call), residual_multiplier_);
}

// w3 (silu(gate) * up), [gate; up] = w1 h.
Var Layer::mlp(Exec& exec, const Var& h, LayerCall& call) const {
  const int64_t halves[] = {mlp_width_, mlp_width_};
  const auto parts = split_last(exec, linear(exec, h, w1_->weight), halves);
  if (std::ranges::find(call.write, up_port) != call.write.end()) {
    call.writes[up_port] = {call.output, parts[1], {}, {}, {}};
  }
  return linear(exec, silu_mul(exec, parts[0], parts[1]), w3_->weight);
}

}  // namespace sambay
