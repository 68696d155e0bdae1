#include "ops/cpu/matmul_kernels.h"
#include "ops/cpu/simd/few_rows.h"
#include "ops/cpu/simd/gemm.h"
#include "ops/cpu/simd/pack.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {

extern const MatmulKernels matmul_kernels;

const MatmulKernels matmul_kernels = {
    gemm_kernel<PackF32, TileF32>(),
    gemm_kernel<PackBf16, TileBf16>(),
    few_rows<StepF32>,
    few_rows<StepBf16>,
    column_sums<float>,
    column_sums<Bf16>,
};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
