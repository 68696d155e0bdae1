#include "model/layer.h"

#include <algorithm>

namespace sambay {

Norm make_norm(const ModelConfig& config, const ParamScope& scope) {
  return config.norm == NormKind::layer ? Norm::layer(config.width, config.norm_eps, scope)
                                        : Norm::rms(config.width, config.norm_eps, scope);
}

Layer::Layer(const LayerSpec& spec, const ModelConfig& config,
             std::map<std::string, MemorySpec> reads, const ParamScope& scope,
             const std::string& where)
    : residual_multiplier_(config.residual_multiplier),
      norm_1_(make_norm(config, scope.child("norm_1"))),
      mixer_(make_mixer(spec.mixer, {config.width, std::move(reads)}, scope.child("attn"),
                        where + ".mixer")),
      norm_2_(make_norm(config, scope.child("norm_2"))),
      mlp_(config.width, spec.mlp_width, scope.child("mlp")) {}

std::vector<Port> Layer::writes() const {
  auto ports = mixer_->writes();
  ports.push_back(mlp_.up_port());
  return ports;
}

Var Layer::forward(Exec& exec, const Var& x, LayerCall& call) const {
  const std::string up = mlp_.up_port().name;
  MixerCall mixer{call.input, call.output, call.states, std::move(call.reads), {}, {}};
  std::ranges::copy_if(call.write, std::back_inserter(mixer.write),
                       [&](const std::string& port) { return port != up; });
  const Var mixed = mixer_->forward(exec, norm_1_.forward(exec, x), mixer);
  call.writes = std::move(mixer.writes);
  const Var kept = select_rows(exec, x, call.input, call.output);
  Var middle = add_scaled(exec, kept, mixed, residual_multiplier_);
  if (call.output.rows() == 0) {
    return middle;  // only the mixer's state was wanted
  }
  Memory memory{.segments = call.output, .rows = {}, .k = {}, .v = {}, .spans = {}};
  const bool writes_up = mixer.write.size() < call.write.size();
  const Var mapped =
      mlp_.forward(exec, norm_2_.forward(exec, middle), writes_up ? &memory.rows : nullptr);
  if (writes_up) {
    call.writes.emplace(up, std::move(memory));
  }
  return add_scaled(exec, middle, mapped, residual_multiplier_);
}

}  // namespace sambay
