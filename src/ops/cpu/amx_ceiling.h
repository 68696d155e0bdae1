// The bf16 ceiling of the tile unit.
#pragma once

#include <cstdint>

namespace sambay::ops {

// As CeilingKernels::bf16. Only where isa() is Isa::amx.
double run_amx_bf16(int64_t steps, float* sink);

}  // namespace sambay::ops
