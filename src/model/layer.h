// One layer: x = x + rho mixer(norm_1(x)); x = x + rho mlp(norm_2(x)) (spec section 2).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "nn/mixer.h"
#include "nn/mlp.h"
#include "nn/norm.h"

namespace sambay {

// The config's norm under `scope`.
Norm make_norm(const ModelConfig& config, const ParamScope& scope);

// One forward of one layer. Memories go by port.
struct LayerCall {
  Segments input, output;  // rows of x and of the result
  std::span<LayerState* const> states;
  std::map<std::string, Memory> reads;
  std::vector<std::string> write;
  std::map<std::string, Memory> writes;  // filled for the ports in `write`
};

class Layer {
 public:
  // `reads`: the memories that the config wires to the mixer's ports. Throws Error with `where`.
  Layer(const LayerSpec& spec, const ModelConfig& config, std::map<std::string, MemorySpec> reads,
        const ParamScope& scope, const std::string& where);

  const Mixer& mixer() const { return *mixer_; }
  // The mixer's and the MLP's.
  std::vector<Port> writes() const;
  // x (input rows, D) in accum -> (output rows, D).
  Var forward(Exec& exec, const Var& x, LayerCall& call) const;

 private:
  float residual_multiplier_;
  Norm norm_1_;
  std::unique_ptr<Mixer> mixer_;
  Norm norm_2_;
  Mlp mlp_;
};

}  // namespace sambay
