// The norm before each mixer and MLP and before the head.
#pragma once

#include "autograd/functions.h"
#include "nn/param.h"

namespace sambay {

class Norm {
 public:
  // Parameter `weight` of `width` ones under `scope`.
  static Norm rms(int64_t width, float eps, const ParamScope& scope);
  // Beside it `bias`, zeros.
  static Norm layer(int64_t width, float eps, const ParamScope& scope);

  // x (T, width) in any dtype -> compute.
  Var forward(Exec& exec, const Var& x) const;

 private:
  Norm(int64_t width, float eps, const ParamScope& scope);

  const Param* weight_;
  const Param* bias_ = nullptr;  // null: rms
  float eps_;
};

}  // namespace sambay
