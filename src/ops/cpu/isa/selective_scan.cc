#include "ops/cpu/selective_scan_kernels.h"
#include "ops/cpu/simd/sums.h"
#include "ops/cpu/simd/vec.h"

namespace sambay::ops::SAMBAY_ISA_NAMESPACE {
namespace {

constexpr int64_t tile_rows = 64;  // scan_checkpoint_rows
constexpr int64_t max_states = 64;
// States that run side by side: their chains hide each other's latency, and they share the loads.
constexpr int chains = lanes == 16 ? 4 : 2;

// Of `lanes` channels over tile_rows rows.
using Tile = float[tile_rows][lanes];
// Of `lanes` channels: their states, or one number per state and channel.
using StateBlock = float[max_states][lanes];

// Channels [channel, channel + count) of an (E, N) matrix, states outermost; absent channels are
// zero.
void load_states(const float* matrix, int64_t N, int64_t channel, int count, StateBlock out) {
  for (int64_t n = 0; n < N; ++n) {
    for (int e = 0; e < lanes; ++e) {
      out[n][e] = matrix != nullptr && e < count ? matrix[(channel + e) * N + n] : 0.0F;
    }
  }
}

void store_states(const StateBlock in, int64_t N, int64_t channel, int count, float* matrix) {
  for (int e = 0; e < count; ++e) {
    for (int64_t n = 0; n < N; ++n) {
      matrix[(channel + e) * N + n] = in[n][e];
    }
  }
}

template <class T>
const T* at(ConstRows rows, int64_t row, int64_t column) {
  return static_cast<const T*>(rows.data) + row * rows.stride + column;
}
template <class T>
T* at(Rows rows, int64_t row, int64_t column) {
  return static_cast<T*>(rows.data) + row * rows.stride + column;
}

struct InputTile {
  alignas(64) Tile dt, dtu, y;
};

template <class T, class Part>
void load_inputs(const ScanArguments& in, int64_t row, int64_t rows, int64_t channel, Part part,
                 InputTile& tile) {
  const Vec bias = load(in.dt_bias + channel, part), skip = load(in.skip + channel, part);
  for (int64_t t = 0; t < rows; ++t) {
    const Vec dt = softplus(load(at<T>(in.dt_raw, row + t, channel), part) + bias);
    const Vec u = load(at<T>(in.u, row + t, channel), part);
    store(tile.dt[t], dt);
    store(tile.dtu[t], dt * u);
    store(tile.y[t], skip * u);
  }
}

// y += X c over a tile for K states from n on; x is brought up to date.
template <int K>
SAMBAY_INLINE void run_states(const ScanArguments& in, int64_t row, int64_t rows, int64_t n,
                              const StateBlock exponents, StateBlock x, InputTile& tile) {
  const int64_t N = in.state_size;
  Vec state[K], exponent[K];
  for (int k = 0; k < K; ++k) {
    state[k] = load(x[n + k]);
    exponent[k] = load(exponents[n + k]);
  }
  const float* b = in.bc + row * 2 * N + n;
  for (int64_t t = 0; t < rows; ++t, b += 2 * N) {
    const Vec dt = load(tile.dt[t]), dtu = load(tile.dtu[t]);
    Vec y = load(tile.y[t]);
    for (int k = 0; k < K; ++k) {
      state[k] = fma(exp2_decay(dt * exponent[k]), state[k], dtu * set1(b[k]));
      y = fma(state[k], set1(b[N + k]), y);
    }
    store(tile.y[t], y);
  }
  for (int k = 0; k < K; ++k) {
    store(x[n + k], state[k]);
  }
}

template <class T, class Part>
void scan_tile(const ScanArguments& in, int64_t row, int64_t rows, int64_t channel, Part part,
               const StateBlock exponents, StateBlock x, Rows y) {
  InputTile tile;
  load_inputs<T>(in, row, rows, channel, part, tile);
  int64_t n = 0;
  for (; n + chains <= in.state_size; n += chains) {
    run_states<chains>(in, row, rows, n, exponents, x, tile);
  }
  for (; n < in.state_size; ++n) {
    run_states<1>(in, row, rows, n, exponents, x, tile);
  }
  for (int64_t t = 0; t < rows; ++t) {
    store(at<T>(y, row + t, channel), load(tile.y[t]), part);
  }
}

// A few vectors of channels go through the rows together, so that whole cache lines are used.
constexpr int group = 4;

template <class T>
void scan_group(const ScanArguments& in, const ScanSegment& segment, int64_t begin, int64_t end,
                Rows y) {
  const int64_t N = in.state_size;
  alignas(64) StateBlock exponents[group], x[group];
  int counts[group];
  int blocks = 0;
  for (int64_t channel = begin; channel < end; channel += lanes, ++blocks) {
    counts[blocks] = end - channel < lanes ? static_cast<int>(end - channel) : lanes;
    load_states(in.exponents, N, channel, counts[blocks], exponents[blocks]);
    load_states(segment.state, N, channel, counts[blocks], x[blocks]);
  }
  float* checkpoint = segment.checkpoints;
  for (int64_t t = 0; t < segment.rows; t += tile_rows) {
    const int64_t rows = segment.rows - t < tile_rows ? segment.rows - t : tile_rows;
    for (int i = 0; i < blocks; ++i) {
      const int64_t channel = begin + i * lanes;
      if (checkpoint != nullptr) {
        store_states(x[i], N, channel, counts[i], checkpoint);
      }
      if (counts[i] == lanes) {
        scan_tile<T>(in, segment.row + t, rows, channel, Whole{}, exponents[i], x[i], y);
      } else {
        scan_tile<T>(in, segment.row + t, rows, channel, First{counts[i]}, exponents[i], x[i], y);
      }
    }
    if (checkpoint != nullptr) {
      checkpoint += in.channels * N;
    }
  }
  if (segment.state != nullptr) {
    for (int i = 0; i < blocks; ++i) {
      store_states(x[i], N, begin + i * lanes, counts[i], segment.state);
    }
  }
}

void scan(const ScanArguments& in, const ScanSegment& segment, int64_t begin, int64_t end, Rows y) {
  for (; begin < end; begin += group * lanes) {
    const int64_t last = begin + group * lanes < end ? begin + group * lanes : end;
    if (in.u.bf16) {
      scan_group<Bf16>(in, segment, begin, last, y);
    } else {
      scan_group<float>(in, segment, begin, last, y);
    }
  }
}

// The state of one channel after one row, and X c still spread over the lanes.
SAMBAY_INLINE Vec step_channel(const ScanArguments& in, const float* bc, int64_t channel, Vec dt,
                               Vec dtu, float* states) {
  const int64_t N = in.state_size, offset = channel * N;
  Vec total = set1(0.0F);
  for_lanes(N, [&](int64_t n, auto part) {
    const Vec decay = exp2_decay(dt * load(in.exponents + offset + n, part));
    float* x = states + offset + n;
    const Vec state = fma(decay, load(x, part), dtu * load(bc + n, part));
    store(x, state, part);
    total = fma(state, load(bc + N + n, part), total);
  });
  return total;
}

// One row; the states of a channel lie across the lanes.
template <class T>
void step_row(const ScanArguments& in, const ScanSegment& segment, int64_t row, int64_t begin,
              int64_t end, Rows y) {
  const float* bc = in.bc + row * 2 * in.state_size;
  for (int64_t channel = begin; channel < end; channel += lanes) {
    const int count = end - channel < lanes ? static_cast<int>(end - channel) : lanes;
    alignas(64) float dt[lanes], dtu[lanes], sums[lanes] = {};
    const First part{count};
    const Vec u = load(at<T>(in.u, row, channel), part);
    const Vec raw = load(at<T>(in.dt_raw, row, channel), part) + load(in.dt_bias + channel, part);
    const Vec step_size = softplus(raw);
    store(dt, step_size);
    store(dtu, step_size * u);
    const auto advance = [&](int e) {
      return step_channel(in, bc, channel + e, set1(dt[e]), set1(dtu[e]), segment.state);
    };
    int e = 0;
    for (; e + 4 <= count; e += 4) {
      const Vec y0 = advance(e), y1 = advance(e + 1), y2 = advance(e + 2), y3 = advance(e + 3);
      store_sums(sums + e, y0, y1, y2, y3);
    }
    for (; e < count; ++e) {
      sums[e] = sum(advance(e));
    }
    store(at<T>(y, row, channel), fma(load(in.skip + channel, part), u, load(sums)), part);
  }
}

void step(const ScanArguments& in, const ScanSegment& segment, int64_t begin, int64_t end, Rows y) {
  for (int64_t row = segment.row; row < segment.row + segment.rows; ++row) {
    if (in.u.bf16) {
      step_row<Bf16>(in, segment, row, begin, end, y);
    } else {
      step_row<float>(in, segment, row, begin, end, y);
    }
  }
}

void exponents(const float* a_log, int64_t count, float* out) {
  for_lanes(count, [&](int64_t i, auto part) {
    store(out + i, set1(-1.44269504F) * exp(load(a_log + i, part)), part);
  });
}

template <class T>
void widen_row(const T* from, int64_t count, float* to) {
  for_lanes(count, [&](int64_t i, auto part) { store(to + i, load(from + i, part), part); });
}

void widen(ConstRows b, ConstRows c, int64_t state_size, int64_t begin, int64_t end, float* bc) {
  for (int64_t row = begin; row < end; ++row) {
    float* to = bc + row * 2 * state_size;
    if (b.bf16) {
      widen_row(at<Bf16>(b, row, 0), state_size, to);
      widen_row(at<Bf16>(c, row, 0), state_size, to + state_size);
    } else {
      widen_row(at<float>(b, row, 0), state_size, to);
      widen_row(at<float>(c, row, 0), state_size, to + state_size);
    }
  }
}

struct BackwardTile {
  alignas(64) Tile dt, dtu, d_y, d_dt, d_dtu;
  alignas(64) float before[tile_rows + 1][lanes];  // X before each row, of one state
  alignas(64) Tile decay;
};

// What a block of channels carries from the last tile to the first.
struct Carried {
  alignas(64) StateBlock exponents, d_x, d_exponent;
  alignas(64) float d_skip[lanes], d_dt_bias[lanes];
};

// X and the decays of one state over the tile, from the checkpoint on.
SAMBAY_INLINE void replay_state(const ScanArguments& in, int64_t row, int64_t rows, int64_t n,
                                Vec exponent, Vec state, BackwardTile& tile) {
  const float* b = in.bc + row * 2 * in.state_size + n;
  store(tile.before[0], state);
  for (int64_t t = 0; t < rows; ++t, b += 2 * in.state_size) {
    const Vec decay = exp2_decay(load(tile.dt[t]) * exponent);
    state = fma(decay, state, load(tile.dtu[t]) * set1(*b));
    store(tile.decay[t], decay);
    store(tile.before[t + 1], state);
  }
}

// What one state carries back through the rows of a tile.
struct StateGradient {
  Vec exponent, g, d_exponent;
};

// The rows t, t - 1, ..., t - R + 1 of a tile that starts at `row`.
template <int R>
SAMBAY_INLINE void retreat_rows(const ScanBackward& work, int64_t row, int64_t t, int64_t n,
                                StateGradient& s, BackwardTile& tile) {
  const int64_t N = work.in.state_size;
  float* d_bc = work.d_bc + (row + t) * 2 * N + n;
  Vec d_b[R], d_c[R];
  for (int r = 0; r < R; ++r, --t) {
    const float* bc = work.in.bc + (row + t) * 2 * N + n;
    const Vec d_y = load(tile.d_y[t]);
    s.g = fma(d_y, set1(bc[N]), s.g);
    d_b[r] = s.g * load(tile.dtu[t]);
    d_c[r] = d_y * load(tile.before[t + 1]);
    store(tile.d_dtu[t], fma(s.g, set1(bc[0]), load(tile.d_dtu[t])));
    s.g = s.g * load(tile.decay[t]);
    const Vec d_product = s.g * load(tile.before[t]);
    store(tile.d_dt[t], fma(d_product, s.exponent, load(tile.d_dt[t])));
    s.d_exponent = fma(d_product, load(tile.dt[t]), s.d_exponent);
  }
  float sums_b[R], sums_c[R];
  if constexpr (R == 4) {
    store_sums(sums_b, d_b[0], d_b[1], d_b[2], d_b[3]);
    store_sums(sums_c, d_c[0], d_c[1], d_c[2], d_c[3]);
  } else {
    sums_b[0] = sum(d_b[0]);
    sums_c[0] = sum(d_c[0]);
  }
  for (int r = 0; r < R; ++r, d_bc -= 2 * N) {
    d_bc[0] += sums_b[r];
    d_bc[N] += sums_c[r];
  }
}

SAMBAY_INLINE void retreat_state(const ScanBackward& work, int64_t row, int64_t rows, int64_t n,
                                 Carried& carried, BackwardTile& tile) {
  StateGradient s = {load(carried.exponents[n]), load(carried.d_x[n]), load(carried.d_exponent[n])};
  int64_t t = rows - 1;
  for (; t >= 3; t -= 4) {
    retreat_rows<4>(work, row, t, n, s, tile);
  }
  for (; t >= 0; --t) {
    retreat_rows<1>(work, row, t, n, s, tile);
  }
  store(carried.d_x[n], s.g);
  store(carried.d_exponent[n], s.d_exponent);
}

template <class T, class Part>
void backward_tile(const ScanBackward& work, int64_t row, int64_t rows, int64_t channel, Part part,
                   const StateBlock checkpoint, Carried& carried) {
  const ScanArguments& in = work.in;
  BackwardTile tile;
  const Vec bias = load(in.dt_bias + channel, part), skip = load(in.skip + channel, part);
  for (int64_t t = 0; t < rows; ++t) {
    const Vec dt = softplus(load(at<T>(in.dt_raw, row + t, channel), part) + bias);
    store(tile.dt[t], dt);
    store(tile.dtu[t], dt * load(at<T>(in.u, row + t, channel), part));
    store(tile.d_y[t], load(at<T>(work.d_y, row + t, channel), part));
    store(tile.d_dt[t], set1(0.0F));
    store(tile.d_dtu[t], set1(0.0F));
  }
  for (int64_t n = 0; n < in.state_size; ++n) {
    replay_state(in, row, rows, n, load(carried.exponents[n]), load(checkpoint[n]), tile);
    retreat_state(work, row, rows, n, carried, tile);
  }
  Vec d_skip = load(carried.d_skip), d_dt_bias = load(carried.d_dt_bias);
  for (int64_t t = 0; t < rows; ++t) {
    const Vec u = load(at<T>(in.u, row + t, channel), part);
    const Vec raw = load(at<T>(in.dt_raw, row + t, channel), part) + bias;
    const Vec d_y = load(tile.d_y[t]), d_dtu = load(tile.d_dtu[t]);
    // The exponents carry log2(e): d_dt counted it once too often.
    const Vec d_dt = fma(d_dtu, u, load(tile.d_dt[t]) * set1(0.693147181F));
    const Vec d_raw = d_dt * sigmoid(raw);
    store(at<T>(work.d_u, row + t, channel), fma(d_dtu, load(tile.dt[t]), skip * d_y), part);
    store(at<T>(work.d_dt_raw, row + t, channel), d_raw, part);
    d_skip = fma(d_y, u, d_skip);
    d_dt_bias += d_raw;
  }
  store(carried.d_skip, d_skip);
  store(carried.d_dt_bias, d_dt_bias);
}

template <class Part>
void add_carried(const ScanBackward& work, int64_t channel, int count, Part part,
                 const Carried& carried) {
  const int64_t N = work.in.state_size;
  float* d_skip = work.d_skip + channel;
  float* d_dt_bias = work.d_dt_bias + channel;
  store(d_skip, load(d_skip, part) + load(carried.d_skip), part);
  store(d_dt_bias, load(d_dt_bias, part) + load(carried.d_dt_bias), part);
  for (int e = 0; e < count; ++e) {
    for (int64_t n = 0; n < N; ++n) {
      // d exponent / d a_log = exponent, and the gradient is by dt * A = dt * exponent ln 2.
      work.d_a_log[(channel + e) * N + n] +=
          carried.d_exponent[n][e] * carried.exponents[n][e] * 0.693147181F;
    }
  }
}

template <class T>
void backward_channels(const ScanBackward& work, const ScanSegment& segment, int64_t begin,
                       int64_t end) {
  constexpr int max_blocks = scan_backward_channels / lanes;
  const int64_t N = work.in.state_size;
  Carried carried[max_blocks];
  for (int64_t channel = begin; channel < end; channel += lanes) {
    Carried& block = carried[(channel - begin) / lanes];
    const int count = end - channel < lanes ? static_cast<int>(end - channel) : lanes;
    load_states(work.in.exponents, N, channel, count, block.exponents);
    load_states(nullptr, N, channel, count, block.d_x);
    load_states(nullptr, N, channel, count, block.d_exponent);
    store(block.d_skip, set1(0.0F));
    store(block.d_dt_bias, set1(0.0F));
  }
  for (int64_t i = 0; i < segment.rows * 2 * N; ++i) {
    work.d_bc[segment.row * 2 * N + i] = 0.0F;
  }
  const int64_t tiles = (segment.rows + tile_rows - 1) / tile_rows;
  for (int64_t i = tiles - 1; i >= 0; --i) {
    const int64_t row = segment.row + i * tile_rows;
    const int64_t left = segment.rows - i * tile_rows;
    const int64_t rows = left < tile_rows ? left : tile_rows;
    for (int64_t channel = begin; channel < end; channel += lanes) {
      Carried& block = carried[(channel - begin) / lanes];
      const int count = end - channel < lanes ? static_cast<int>(end - channel) : lanes;
      alignas(64) StateBlock checkpoint;
      load_states(segment.checkpoints + i * work.in.channels * N, N, channel, count, checkpoint);
      if (count == lanes) {
        backward_tile<T>(work, row, rows, channel, Whole{}, checkpoint, block);
      } else {
        backward_tile<T>(work, row, rows, channel, First{count}, checkpoint, block);
      }
    }
  }
  for (int64_t channel = begin; channel < end; channel += lanes) {
    const int count = end - channel < lanes ? static_cast<int>(end - channel) : lanes;
    add_carried(work, channel, count, First{count}, carried[(channel - begin) / lanes]);
  }
}

void backward(const ScanBackward& work, const ScanSegment& segment, int64_t begin, int64_t end) {
  if (work.in.u.bf16) {
    backward_channels<Bf16>(work, segment, begin, end);
  } else {
    backward_channels<float>(work, segment, begin, end);
  }
}

void sum_bc(const float* parts, int64_t count, int64_t part_stride, int64_t state_size,
            int64_t begin, int64_t end, Rows d_b, Rows d_c) {
  for (int64_t row = begin; row < end; ++row) {
    const float* from = parts + row * 2 * state_size;
    const float* from_c = from + state_size;
    if (d_b.bf16) {
      sum_parts(from, count, part_stride, state_size, at<Bf16>(d_b, row, 0));
      sum_parts(from_c, count, part_stride, state_size, at<Bf16>(d_c, row, 0));
    } else {
      sum_parts(from, count, part_stride, state_size, at<float>(d_b, row, 0));
      sum_parts(from_c, count, part_stride, state_size, at<float>(d_c, row, 0));
    }
  }
}

}  // namespace

extern const ScanKernels scan_kernels;
const ScanKernels scan_kernels = {exponents, widen, scan, step, backward, sum_bc, add_parts};

}  // namespace sambay::ops::SAMBAY_ISA_NAMESPACE
