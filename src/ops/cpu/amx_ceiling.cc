#include "ops/cpu/amx_ceiling.h"

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sambay::ops {

#if defined(__x86_64__)

// Four tiles of sums, so that the latency of one product hides behind the others.
[[gnu::target("amx-tile,amx-bf16")]] double run_amx_bf16(int64_t steps, float* sink) {
  struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
  };
  const TileConfig config;
  alignas(64) float tile[16][16];
  for (auto& row : tile) {
    for (float& x : row) {
      x = *sink;
    }
  }
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, tile, 64);
  _tile_loadd(5, tile, 64);
  for (int64_t step = 0; step < steps; ++step) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, tile, 64);
  _tile_release();
  *sink = tile[0][0];
  constexpr double flops_per_tile = 2.0 * 16 * 16 * 32;
  return 4 * flops_per_tile * static_cast<double>(steps);
}

#else

double run_amx_bf16(int64_t /*steps*/, float* /*sink*/) {
  invariant_broken("only x86 has tiles");
}

#endif

}  // namespace sambay::ops
