// SwiGLU (spec section 2): [gate; up] = w1 h, out = w3 (silu(gate) * up).
#pragma once

#include "nn/mixer.h"

namespace sambay {

class Mlp {
 public:
  // Parameters `w1.weight` (2 inner, width) and `w3.weight` (width, inner) under `scope`.
  Mlp(int64_t width, int64_t inner, const ParamScope& scope);

  // What the port "up" can hold: `up` at the rows of h.
  Port up_port() const;

  // h (T, width) -> (T, width) in compute. `up`, if not null, receives w1 h's second half
  // (T, inner).
  Var forward(Exec& exec, const Var& h, Var* up = nullptr) const;

 private:
  int64_t inner_;
  const Param* w1_;
  const Param* w3_;
};

}  // namespace sambay
