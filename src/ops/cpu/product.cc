#include "ops/cpu/product.h"

#include <algorithm>

#include "base/parallel_pieces.h"
#include "base/threads.h"
#include "ops/cpu/onednn/product_onednn.h"

namespace sambay::ops {
namespace {

// Up to so many rows the weights are not packed but streamed (cpu/simd/few_rows.h), for 16 rows at
// a time. Measured: at 64 rows packing is as fast.
constexpr int64_t few_rows_limit = 48;
constexpr int64_t rows_at_a_time = 16;
// Weights that all those rows find in L2.
constexpr int64_t few_rows_bytes = 1 << 18;
// Weights that a thread takes at a time: some us of streaming.
constexpr int64_t few_rows_piece_bytes = 1 << 17;
// Below so many multiply-adds, or bytes of weights, a second thread costs more than it brings.
constexpr int64_t serial_multiply_adds = 1 << 20;
constexpr int64_t serial_weight_bytes = 1 << 19;
// Packed operands are bounded, so that they stay in the outer caches.
constexpr int64_t packed_bytes_limit = int64_t{16} << 20;
// One pass over k reads a panel of b of nr columns from L2; longer sums are added up in c.
constexpr int64_t slab_bytes = 2048;
// Rows and columns of one task, rounded to whole tiles: a block of a and one of b share L2.
constexpr int64_t task_rows_limit = 112;
constexpr int64_t task_columns_limit = 256;

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The smallest multiple of `unit` that cuts `size` into as few pieces as `limit` allows.
int64_t balanced(int64_t size, int64_t limit, int64_t unit) {
  const int64_t pieces = std::max<int64_t>(1, divide_up(size, std::max(limit, unit)));
  return std::max(unit, divide_up(divide_up(size, pieces), unit) * unit);
}

template <class Body>
void run_tasks(bool parallel, int64_t tasks, Body&& body) {
  if (parallel) {
    parallel_for(tasks, body);
  } else {
    for (int64_t i = 0; i < tasks; ++i) {
      body(i);
    }
  }
}

const void* at(const void* base, int64_t elements, DType dtype) {
  return static_cast<const std::byte*>(base) + elements * static_cast<int64_t>(size_of(dtype));
}

// Packs blocks of a and b whole, then multiplies them tile by tile. Every split follows from
// shapes.
class BlockedProduct {
 public:
  BlockedProduct(const Product& p, const GemmKernel& kernel)
      : p_(p),
        kernel_(kernel),
        parallel_(p.m * p.n * p.k > serial_multiply_adds),
        task_rows_(task_rows_limit / kernel.mr * kernel.mr),
        task_columns_(task_columns_limit / kernel.nr * kernel.nr) {
    // A bf16 result is rounded once, so its sum is not cut.
    const int64_t longest = p.c_dtype == DType::bf16 ? p.k : slab_bytes / kernel.element_bytes;
    slab_ =
        balanced(p.k, longest, p.quantized == nullptr ? kernel.k_group : quantized_record_columns);
    const int64_t lanes = packed_bytes_limit / (slab_ * kernel.element_bytes);
    rows_ = balanced(p.m, lanes, task_rows_);
    columns_ = balanced(p.n, lanes, task_columns_);
    rows_ = std::min(rows_, divide_up(p.m, kernel.mr) * kernel.mr);
    columns_ = std::min(columns_, divide_up(p.n, kernel.nr) * kernel.nr);
  }

  int64_t workspace_bytes() const { return (rows_ + columns_) * lane_bytes(); }

  void run(std::byte* workspace) {
    packed_a_ = workspace;
    packed_b_ = workspace + rows_ * lane_bytes();
    for (int64_t j = 0; j < p_.n; j += columns_) {
      for (int64_t k = 0; k < std::max<int64_t>(p_.k, 1); k += slab_) {
        for (int64_t i = 0; i < p_.m; i += rows_) {
          const Block block = {i, std::min(rows_, p_.m - i), j, std::min(columns_, p_.n - j),
                               k, std::min(slab_, p_.k - k)};
          pack_block(block, i == 0);
          multiply_block(block);
        }
      }
    }
  }

 private:
  struct Block {
    int64_t i, rows, j, columns, k, depth;
  };

  int64_t lane_bytes() const { return slab_ * kernel_.element_bytes; }
  int64_t groups(const Block& block) const { return divide_up(block.depth, kernel_.k_group); }

  // One operand's part of a block: `lanes` are its rows of a or its columns of b.
  struct Side {
    const void* source;  // null: the quantized matrix
    int64_t lane_stride, k_stride, lanes;
    int64_t panel, padded_to;  // lanes of a panel, and what the last one is filled up to
    std::byte* packed;
  };

  void pack_block(const Block& block, bool with_b) const {
    const Side a = {at(p_.a, block.i * p_.a_row + block.k * p_.a_k, p_.dtype),
                    p_.a_row,
                    p_.a_k,
                    block.rows,
                    kernel_.mr,
                    1,
                    packed_a_};
    const Side b = {p_.quantized != nullptr
                        ? nullptr
                        : at(p_.b, block.j * p_.b_column + block.k * p_.b_k, p_.dtype),
                    p_.b_column,
                    p_.b_k,
                    block.columns,
                    kernel_.nr,
                    kernel_.nr,
                    packed_b_};
    const int64_t a_tasks = divide_up(block.rows, task_rows_);
    const int64_t b_tasks = with_b ? divide_up(block.columns, task_columns_) : 0;
    run_tasks(parallel_, a_tasks + b_tasks, [&](int64_t task) {
      if (task < a_tasks) {
        pack_lanes(a, task * task_rows_, task_rows_, block.depth);
      } else if (b.source == nullptr) {
        pack_quantized_lanes(block, (task - a_tasks) * task_columns_);
      } else {
        pack_lanes(b, (task - a_tasks) * task_columns_, task_columns_, block.depth);
      }
    });
  }

  // Where lanes stand side by side, a few rows of all panels at a time: a panel alone would take a
  // few bytes of each of many pages.
  void pack_lanes(const Side& side, int64_t begin, int64_t count, int64_t depth) const {
    constexpr int64_t side_by_side_run = 32;
    const int64_t run = side.lane_stride == 1 ? side_by_side_run : depth;
    const int64_t end = std::min(begin + count, side.lanes);
    for (int64_t k = 0; k < depth; k += run) {
      for (int64_t lane = begin; lane < end; lane += side.panel) {
        const int64_t lanes = std::min(side.panel, side.lanes - lane);
        const int64_t width = divide_up(lanes, side.padded_to) * side.padded_to;
        kernel_.pack(
            {.source = at(side.source, lane * side.lane_stride + k * side.k_stride, p_.dtype),
             .lane_stride = side.lane_stride,
             .k_stride = side.k_stride,
             .lanes = lanes,
             .k = std::min(run, depth - k),
             .width = width,
             .packed = side.packed + lane * lane_bytes() + k * width * kernel_.element_bytes});
      }
    }
  }

  void pack_quantized_lanes(const Block& block, int64_t begin) const {
    const int64_t end = std::min(begin + task_columns_, block.columns);
    for (int64_t lane = begin; lane < end; lane += kernel_.nr) {
      p_.pack_quantized({.w = *p_.quantized,
                         .lane = block.j + lane,
                         .lanes = std::min(kernel_.nr, end - lane),
                         .k_begin = block.k,
                         .k = block.depth,
                         .width = kernel_.nr,
                         .packed = packed_b_ + lane * lane_bytes()});
    }
  }

  // Neighbouring tasks share columns: their part of b stays in the cache.
  void multiply_block(const Block& block) const {
    const int64_t down = divide_up(block.rows, task_rows_);
    const int64_t across = divide_up(block.columns, task_columns_);
    run_tasks(parallel_, down * across, [&](int64_t task) {
      const int64_t i = task % down * task_rows_, j = task / down * task_columns_;
      multiply_task(block, i, std::min(i + task_rows_, block.rows), j,
                    std::min(j + task_columns_, block.columns));
    });
  }

  void multiply_task(const Block& block, int64_t i_begin, int64_t i_end, int64_t j_begin,
                     int64_t j_end) const {
    const bool first = block.k == 0;
    GemmTile tile = {};
    tile.groups = groups(block);
    tile.c_stride = p_.c_row;
    tile.alpha = p_.alpha;
    tile.c_is_bf16 = p_.c_dtype == DType::bf16;
    tile.accumulate = p_.accumulate || !first;
    for (int64_t j = j_begin; j < j_end; j += kernel_.nr) {
      tile.columns = std::min(kernel_.nr, j_end - j);
      tile.b = packed_b_ + j * lane_bytes();
      tile.bias = first && p_.bias != nullptr ? p_.bias + block.j + j : nullptr;
      for (int64_t i = i_begin; i < i_end; i += kernel_.mr) {
        tile.rows = std::min(kernel_.mr, i_end - i);
        tile.a = packed_a_ + i * lane_bytes();
        tile.c = const_cast<void*>(at(p_.c, (block.i + i) * p_.c_row + block.j + j, p_.c_dtype));
        kernel_.multiply(tile);
      }
    }
  }

  Product p_;
  GemmKernel kernel_;
  bool parallel_;
  int64_t task_rows_, task_columns_;
  int64_t slab_, rows_, columns_;
  std::byte* packed_a_ = nullptr;
  std::byte* packed_b_ = nullptr;
};

void multiply_few_rows(const Product& p, void (*kernel)(const FewRows&)) {
  const auto column_bytes = p.k * static_cast<int64_t>(size_of(p.dtype));
  const auto rows_and_columns = [&](int64_t row, int64_t rows, int64_t begin, int64_t end,
                                    int64_t ahead) {
    kernel({.x = at(p.a, row * p.a_row, p.dtype),
            .w = at(p.b, begin * p.b_column, p.dtype),
            .c = const_cast<void*>(at(p.c, row * p.c_row + begin, p.c_dtype)),
            .bias = p.bias != nullptr ? p.bias + begin : nullptr,
            .x_stride = p.a_row,
            .w_stride = p.b_column,
            .c_stride = p.c_row,
            .rows = rows,
            .columns = end - begin,
            .columns_ahead = ahead,
            .k = p.k,
            .alpha = p.alpha,
            .c_is_bf16 = p.c_dtype == DType::bf16,
            .accumulate = p.accumulate});
  };
  constexpr int64_t grain = 16;
  const int64_t rows = balanced(p.m, rows_at_a_time, 1);
  const int64_t block =
      rows == p.m ? p.n : balanced(p.n, few_rows_bytes / std::max<int64_t>(1, column_bytes), grain);
  const auto columns = [&](int64_t begin, int64_t end, int64_t range_end) {
    for (int64_t j = begin; j < end; j += block) {
      const int64_t j_end = std::min(j + block, end);
      for (int64_t i = 0; i < p.m; i += rows) {
        const bool last = i + rows >= p.m;
        rows_and_columns(i, std::min(rows, p.m - i), j, j_end, last ? range_end - j_end : 0);
      }
    }
  };
  if (p.n * column_bytes <= serial_weight_bytes) {
    columns(0, p.n, p.n);
    return;
  }
  const int64_t piece = std::max<int64_t>(1, few_rows_piece_bytes / (grain * column_bytes)) * grain;
  parallel_pieces(p.n, piece, columns);
}

}  // namespace

void multiply(const Product& p, const MatmulKernels& kernels, Arena& arena, TileUnit tiles) {
  if (p.m == 0 || p.n == 0) {
    return;
  }
  const bool f32 = p.dtype == DType::f32;
  const bool meta = arena.device() == Device::meta;
  const bool quantized = p.quantized != nullptr;
  if (!quantized && p.m <= few_rows_limit && p.a_k == 1 && p.b_k == 1) {
    if (!meta) {
      multiply_few_rows(p, f32 ? kernels.few_rows_f32 : kernels.few_rows_bf16);
    }
    return;
  }
  if (tiles == TileUnit::onednn && !quantized && !f32 && p.k > 0 &&
      (p.bias == nullptr || p.alpha == 1.0F)) {
    multiply_by_onednn(p, arena);
    return;
  }
  BlockedProduct blocked(p, f32 ? kernels.gemm_f32 : kernels.gemm_bf16);
  const Tensor workspace = Tensor::empty({blocked.workspace_bytes()}, DType::u8, arena);
  if (!meta) {
    blocked.run(static_cast<std::byte*>(workspace.raw()));
  }
}

void add_column_sums(const Tensor& x, float* sums, const MatmulKernels& kernels) {
  const bool f32 = x.dtype() == DType::f32;
  const auto kernel = f32 ? kernels.column_sums_f32 : kernels.column_sums_bf16;
  constexpr int64_t grain = 128;
  parallel_ranges(x.dim(1), grain, [&](int64_t begin, int64_t end) {
    kernel({.x = at(x.raw(), begin, x.dtype()),
            .x_stride = x.stride(0),
            .rows = x.dim(0),
            .columns = end - begin,
            .sums = sums + begin});
  });
}

}  // namespace sambay::ops
