// One step of AdamW on one parameter, and the norm by which its gradient is clipped.
#pragma once

#include "tensor/tensor.h"

namespace sambay::ops {

struct AdamwTensors {
  Tensor master;    // f32 (f64): the parameter, updated
  Tensor gradient;  // like master: read, then set to zero for the next step's sums
  Tensor m, v;      // like master: running means of the gradient and of its square, updated
  Tensor compute;   // undefined, or the parameter as forwards use it: rewritten from master
};

struct AdamwOptions {
  double learning_rate = 0;  // of this step and this parameter's group
  double decay = 0;  // the share of itself that the parameter loses: learning rate * weight decay
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double gradient_scale = 1;  // multiplies the gradient first: clipping
  int64_t step = 1;           // from 1: corrects the means' start at zero
};

// Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2, with g scaled:
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
//   p -= decay p + learning_rate * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
// All tensors contiguous and of one shape; compute is f32 or bf16 (f64 with f64). The bits do not
// depend on the number of threads. Throws Error "[adamw] ..." on a shape or dtype that does not
// fit.
void adamw(const AdamwTensors& tensors, const AdamwOptions& options);

// Sum of x^2 of a contiguous f32 (f64) tensor in a fixed order: fp32 (f64) within short pieces, f64
// across them. The bits do not depend on the number of threads. 0 on Device::meta.
double sum_of_squares(const Tensor& x);

}  // namespace sambay::ops
