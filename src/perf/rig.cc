#include "perf/rig.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "model/weights.h"

namespace sambay {
namespace {

// A 32-bit finaliser: neighbours come out unrelated, and a compiler can make vectors of it.
uint32_t scrambled(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352dU;
  x = (x ^ (x >> 15)) * 0x846ca68bU;
  return x ^ (x >> 16);
}

template <class Element, class Convert>
void fill(Element* data, int64_t count, float limit, uint32_t seed, Convert convert) {
  const float unit = limit * 0x1p-31F;
  parallel_ranges(count, int64_t{1} << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t bits = scrambled(static_cast<uint32_t>(i) ^ seed);
      data[i] = convert(static_cast<float>(static_cast<int32_t>(bits)) * unit);
    }
  });
}

// Matrices keep the size of their inputs; what is no matrix is small beside 1, so that neither
// exponentials nor products of vectors overflow.
float weight_limit(const Param& param) {
  constexpr float other = 0.5F;
  return param.is_matrix() ? std::sqrt(3.0F / static_cast<float>(param.shape[-1])) : other;
}

}  // namespace

void fill_uniform(const Tensor& tensor, float limit, uint64_t seed) {
  check(tensor.contiguous(), "only whole tensors are filled");
  if (tensor.device() == Device::meta) {
    return;
  }
  const uint32_t start = scrambled(static_cast<uint32_t>(seed) + 1);
  if (tensor.dtype() == DType::u8) {
    // Keys and values in 8 bits: bytes that make moderate scales too, 0.01 to 0.05 as f32.
    fill(tensor.data<uint8_t>(), tensor.elements(), 1.0F, start,
         [](float x) { return static_cast<uint8_t>(x < 0 ? 0x3c : 0x3d); });
  } else if (tensor.dtype() == DType::bf16) {
    fill(tensor.data<Bf16>(), tensor.elements(), limit, start, [](float x) { return to_bf16(x); });
  } else {
    fill(tensor.data<float>(), tensor.elements(), limit, start, [](float x) { return x; });
  }
}

namespace {

// All blocks alike: what stands in them does not matter to the time that they take.
void fill_quantized(const ops::QuantizedMatrix& matrix, float limit, uint64_t seed) {
  if (matrix.data.device() == Device::meta) {
    return;
  }
  const int64_t rows = std::min(matrix.rows, ops::quantized_block_rows);
  const Tensor weights = Tensor::empty({rows, matrix.columns}, DType::f32);
  fill_uniform(weights, limit, seed);
  const auto block =
      ops::QuantizedMatrix::empty(rows, matrix.columns, matrix.bits, default_arena(Device::cpu));
  ops::quantize(weights, block);
  parallel_ranges(matrix.data.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      matrix.data.slice(0, i, i + 1).copy_from(block.data);
    }
  });
}

}  // namespace

Rig::Rig(const ModelConfig& config, const Precision& precision, Device device)
    : arena_(device), precision_(precision), decoder_(config) {
  allocate(decoder_, precision, arena_);
  uint64_t seed = 0;
  for (const auto& param : decoder_.params().all()) {
    if (param.weight.quantized.defined()) {
      fill_quantized(param.weight.quantized, weight_limit(param), ++seed);
    } else {
      fill_uniform(param.weight.value, weight_limit(param), ++seed);
    }
  }
}

Rig::Rig(const std::filesystem::path& folder, const Precision& precision)
    : precision_(precision), decoder_(load_model(folder, precision, arena_)) {}

SequenceState Rig::sequence(int64_t tokens) {
  SequenceState state(decoder_.state_spec(precision_), arena_);
  state.reserve(tokens);
  uint64_t seed = 1 << 20;
  for (size_t i = 0; i < decoder_.config().layers.size(); ++i) {
    for (auto& buffer : state.layer(i).buffers) {
      if (buffer.data.defined()) {
        fill_uniform(buffer.data, 1.0F, ++seed);
      }
      for (const auto& page : buffer.pages) {
        fill_uniform(*page, 1.0F, ++seed);
      }
    }
  }
  return state;
}

void Rig::stand_at(SequenceState& state, int64_t position) {
  state.reset();
  state.reserve(position);
  state.advance(position);
}

Tensor Rig::forward(std::vector<SequenceState>& states, int64_t rows, int32_t wanted) {
  ForwardInput input;
  for (auto& state : states) {
    input.segments.add(rows, state.length());
    input.states.push_back(&state);
    input.wanted.push_back(wanted);
  }
  std::vector<int32_t> ids(static_cast<size_t>(input.segments.rows()));
  const auto vocabulary = static_cast<uint32_t>(decoder_.config().vocab_size);
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>(scrambled(static_cast<uint32_t>(i)) % vocabulary);
  }
  input.ids = ids;
  Exec exec{&arena_, nullptr, precision_};
  return decoder_.logits(exec, input);
}

void Rig::prefill(std::vector<SequenceState>& state, int64_t tokens, int64_t chunk,
                  const std::function<void(int64_t)>& fed) {
  for (int64_t done = 0; done < tokens;) {
    const int64_t rows = std::min(chunk, tokens - done);
    done += rows;
    forward(state, rows, done == tokens ? 1 : 0);
    if (fed) {
      fed(rows);
    }
  }
}

}  // namespace sambay
