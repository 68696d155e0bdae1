#include "ops/random.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/cpu/random_kernels.h"
#include "ops/cpu/select.h"
#include "ops/dispatch.h"

namespace sambay::ops {

SAMBAY_KERNELS(RandomKernels, random_kernels);

namespace {

// Elements that share a part of the stream: a unit of parallel work.
constexpr int64_t part_elements = 1 << 16;
constexpr int part_stream_bits = 32;

enum class Law : uint8_t { uniform, normal };

void assign(double& to, double x) {
  to = x;
}
void assign(float& to, double x) {
  to = static_cast<float>(x);
}
void assign(Bf16& to, double x) {
  to = to_bf16(static_cast<float>(x));
}

// base/rng.cc, one number at a time, is the reference.
template <class Element>
void fill_by_reference(Element* out, int64_t count, Law law, double size, const RngState& from) {
  Rng rng(from);
  for (int64_t i = 0; i < count; ++i) {
    assign(out[i], size * (law == Law::normal ? rng.normal() : 2 * rng.uniform() - 1));
  }
}

template <class Element>
void fill_part(Element* out, int64_t count, Law law, double size, const RngState& from) {
  if (isa() == Isa::reference) {
    fill_by_reference(out, count, law, size, from);
    return;
  }
  const RandomKernels& kernels = random_kernels();
  RandomBlocks blocks{from.seed, from.stream, from.position / 2};
  double drawn[2 * random_blocks];
  for (int64_t done = 0; done < count; blocks.first += random_blocks) {
    int64_t made = 2 * random_blocks;
    if (law == Law::normal) {
      made = kernels.normal(blocks, drawn);
    } else {
      kernels.uniform(blocks, drawn);
    }
    made = std::min(made, count - done);
    for (int64_t i = 0; i < made; ++i) {
      assign(out[done + i], size * drawn[i]);
    }
    done += made;
  }
}

template <class Element>
void fill_elements(const Tensor& out, Law law, double size, const RngState& stream) {
  const int64_t elements = out.elements();
  auto* data = out.data<Element>();
  parallel_for((elements + part_elements - 1) / part_elements, [&](int64_t part) {
    RngState from = stream;
    from.position += static_cast<uint64_t>(part) << part_stream_bits;
    const int64_t begin = part * part_elements;
    fill_part(data + begin, std::min(part_elements, elements - begin), law, size, from);
  });
}

void fill(const Tensor& out, Law law, double size, const Rng& stream) {
  constexpr std::string_view op = "random";
  expect_dtype(op, "out", out, {DType::f64, DType::f32, DType::bf16});
  check(out.contiguous() && stream.state().position % 2 == 0,
        "whole tensors are filled, from whole blocks");
  if (any_meta(out)) {
    return;
  }
  switch (out.dtype()) {
    case DType::f64:
      return fill_elements<double>(out, law, size, stream.state());
    case DType::f32:
      return fill_elements<float>(out, law, size, stream.state());
    default:
      return fill_elements<Bf16>(out, law, size, stream.state());
  }
}

}  // namespace

void fill_normal(const Tensor& out, double deviation, const Rng& stream) {
  fill(out, Law::normal, deviation, stream);
}

void fill_uniform(const Tensor& out, double limit, const Rng& stream) {
  fill(out, Law::uniform, limit, stream);
}

}  // namespace sambay::ops
