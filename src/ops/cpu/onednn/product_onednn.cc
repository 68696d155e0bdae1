#include "ops/cpu/onednn/product_onednn.h"

#include <omp.h>

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "base/threads.h"

namespace sambay::ops {
namespace {

using Memory = dnnl::memory;
using Types = dnnl::memory::data_type;

// oneDNN runs on one thread at a time over blocks that follow from the shape: its own split of a
// sum over threads would make the bits depend on their number.
constexpr int64_t block_rows = 1024;
constexpr int64_t block_columns = 256;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Types type_of(DType dtype) {
  return dtype == DType::bf16 ? Types::bf16 : Types::f32;
}

// Making one is cheap after the first time: oneDNN caches primitives by description.
struct Block {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;

  Block(const Product& p, int64_t rows, int64_t columns)
      : description(describe(p, rows, columns)), primitive(description) {}

  static dnnl::matmul::primitive_desc describe(const Product& p, int64_t rows, int64_t columns) {
    const Memory::desc a({rows, p.k}, Types::bf16, {p.a_row, p.a_k});
    const Memory::desc b({p.k, columns}, Types::bf16, {p.b_k, p.b_column});
    const Memory::desc c({rows, columns}, type_of(p.c_dtype), {p.c_row, 1});
    const Memory::desc bias({1, columns}, Types::f32, {columns, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (p.alpha != 1.0F) {
      attributes.set_output_scales(0, {p.alpha});
    }
    if (p.accumulate) {
      dnnl::post_ops add_to_c;
      add_to_c.append_sum(1.0F);
      attributes.set_post_ops(add_to_c);
    }
    return {p.bias != nullptr ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c),
            attributes, engine()};
  }

  int64_t workspace_bytes() const {
    constexpr int64_t alignment = 64;
    const auto bytes = static_cast<int64_t>(description.scratchpad_desc().get_size());
    return (bytes + alignment - 1) / alignment * alignment;
  }
};

const void* at(const void* base, int64_t elements, DType dtype) {
  return static_cast<const std::byte*>(base) + elements * static_cast<int64_t>(size_of(dtype));
}

void run_block(const Product& p, const Block& block, int64_t i, int64_t j, void* workspace) {
  static thread_local const bool alone = (omp_set_num_threads(1), true);
  static_cast<void>(alone);
  const auto memory = [](const Memory::desc& description, const void* data) {
    return Memory(description, engine(), const_cast<void*>(data));
  };
  const auto& d = block.description;
  std::unordered_map<int, Memory> arguments = {
      {DNNL_ARG_SRC, memory(d.src_desc(), at(p.a, i * p.a_row, p.dtype))},
      {DNNL_ARG_WEIGHTS, memory(d.weights_desc(), at(p.b, j * p.b_column, p.dtype))},
      {DNNL_ARG_DST, memory(d.dst_desc(), at(p.c, i * p.c_row + j, p.c_dtype))},
      {DNNL_ARG_SCRATCHPAD, memory(d.scratchpad_desc(), workspace)}};
  if (p.bias != nullptr) {
    arguments.emplace(DNNL_ARG_BIAS, memory(d.bias_desc(), p.bias + j));
  }
  dnnl::stream stream(engine());
  block.primitive.execute(stream, arguments);
  stream.wait();
}

}  // namespace

bool onednn_available() {
  return true;
}

void multiply_by_onednn(const Product& p, Arena& arena) {
  check(p.dtype == DType::bf16 && (p.bias == nullptr || p.alpha == 1.0F),
        "oneDNN multiplies bf16 and scales no bias");
  const int64_t down = (p.m + block_rows - 1) / block_rows;
  const int64_t across = (p.n + block_columns - 1) / block_columns;
  // Blocks at the lower and at the right edge are smaller: four kinds at most.
  std::vector<Block> kinds;
  int64_t workspace_bytes = 0;
  for (const int64_t i : {int64_t{0}, down - 1}) {
    for (const int64_t j : {int64_t{0}, across - 1}) {
      kinds.emplace_back(p, std::min(block_rows, p.m - i * block_rows),
                         std::min(block_columns, p.n - j * block_columns));
      workspace_bytes = std::max(workspace_bytes, kinds.back().workspace_bytes());
    }
  }
  const int64_t parts = std::min<int64_t>(down * across, num_threads());
  const Tensor workspace = Tensor::empty({parts * workspace_bytes}, DType::u8, arena);
  if (arena.device() == Device::meta) {
    return;
  }
  parallel_for(parts, [&](int64_t part) {
    auto* own = static_cast<std::byte*>(workspace.raw()) + part * workspace_bytes;
    for (int64_t block = part; block < down * across; block += parts) {
      const int64_t i = block % down, j = block / down;
      const size_t kind = (i == down - 1 ? 2U : 0U) + (j == across - 1 ? 1U : 0U);
      run_block(p, kinds[kind], i * block_rows, j * block_columns, own);
    }
  });
}

}  // namespace sambay::ops
