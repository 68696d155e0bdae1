// Matrix products of bf16 by oneDNN, which knows the tile unit (AMX).
#pragma once

#include "ops/cpu/product.h"

namespace sambay::ops {

// Whether this build has oneDNN.
bool onednn_available();

// As multiply() in product.h, for bf16 operands; a bias wants alpha = 1.
void multiply_by_onednn(const Product& product, Arena& arena);

}  // namespace sambay::ops
