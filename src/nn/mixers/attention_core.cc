#include "nn/mixers/attention_core.h"

#include <algorithm>

namespace sambay {
namespace {

// Buffers of the StateSpec: of a window, and of all keys.
constexpr int k_buffer = 0, v_buffer = 1, kv_buffer = 0;

constexpr int64_t max_heads = 4096;
constexpr int64_t max_head_dim = 1024;

const Weight* weight_of(const Param* param) {
  return param != nullptr ? &param->weight : nullptr;
}

Tensor heads_of(const Var& rows, int64_t heads) {
  return rows.value.split_last(heads);
}

// Rows [begin, end) of fresh keys and values, of which the first stands at position `first`.
ops::KvSpan fresh_span(const Tensor& k, const Tensor& v, int64_t begin, int64_t end,
                       int64_t first) {
  return {k.slice(0, begin, end).raw(),
          v.slice(0, begin, end).raw(),
          first,
          end - begin,
          k.stride(0),
          k.stride(1),
          v.stride(0),
          v.stride(1)};
}

}  // namespace

AttentionConfig read_attention_config(JsonFields& fields, bool paired) {
  AttentionConfig config;
  ops::HeadMap& map = config.options.map;
  map.heads = fields.integer("heads", 1, max_heads);
  map.k_heads = fields.integer("kv_heads", 1, max_heads);
  map.head_dim = fields.integer("head_dim", 1, max_head_dim);
  map.paired = paired;
  config.options.window = fields.integer("window", 0, int64_t{1} << 40);
  config.options.scale = fields.required<float>("score_scale");
  config.rope_base = fields.required<double>("rope_base");
  config.qkv_bias = fields.required<bool>("qkv_bias");
  config.out_bias = fields.required<bool>("out_bias");
  if (map.heads % map.k_heads != 0) {
    fail(fields.where(), "heads: {} is not a multiple of kv_heads {}", map.heads, map.k_heads);
  }
  if (paired && (map.heads % 2 != 0 || map.k_heads % 2 != 0)) {
    fail(fields.where(), "heads, kv_heads: {}, {} are not both even", map.heads, map.k_heads);
  }
  if (!(config.options.scale > 0)) {
    fail(fields.where(), "score_scale: {} is not above 0", config.options.scale);
  }
  if (!(config.rope_base >= 0)) {
    fail(fields.where(), "rope_base: {} is below 0", config.rope_base);
  }
  if (config.rope_base > 0 && map.head_dim % 2 != 0) {
    fail(fields.where(), "head_dim: {} is odd, which rope_base {} does not allow", map.head_dim,
         config.rope_base);
  }
  return config;
}

AttentionCore::AttentionCore(const AttentionConfig& config, const MixerContext& context,
                             const ParamScope& scope)
    : config_(config) {
  const ops::HeadMap& map = config.options.map;
  const int64_t q_width = map.heads * map.head_dim, k_width = map.k_heads * map.head_dim;
  const auto linear_weight = [&](const char* name, int64_t out, int64_t in, Init init) {
    return &scope.child(name).add("weight", {out, in}, Role::hidden, init);
  };
  const auto bias = [&](const char* name, int64_t out) {
    return &scope.child(name).add("bias", {out}, Role::vector, Init::zeros);
  };
  q_ = linear_weight("q_proj", q_width, context.width, Init::linear);
  if (config.qkv_bias) {
    q_bias_ = bias("q_proj", q_width);
  }
  if (!context.reads.contains("kv")) {
    k_ = linear_weight("k_proj", k_width, context.width, Init::linear);
    v_ = linear_weight("v_proj", k_width, context.width, Init::linear);
    if (config.qkv_bias) {
      v_bias_ = bias("v_proj", k_width);
    }
  }
  proj_ = linear_weight("proj", context.width, q_width, Init::output_linear);
  if (config.out_bias) {
    proj_bias_ = bias("proj", context.width);
  }
}

MemorySpec AttentionCore::kv_spec() const {
  return {.kind = MemorySpec::Kind::kv,
          .kv_heads = config_.options.map.k_heads,
          .head_dim = config_.options.map.head_dim};
}

StateSpec AttentionCore::state_spec(const Precision& precision) const {
  if (k_ == nullptr) {
    return {};
  }
  const ops::HeadMap& map = config_.options.map;
  const DType compute = precision.compute;
  const int64_t window = config_.options.window;
  if (window == 0) {
    const DType dtype = precision.kv_bits == 8 ? DType::u8 : compute;
    const ops::KvTile tile(dtype, map.head_dim, map.tile_heads());
    return {{"kv", StateKind::growing, {map.k_heads / tile.heads, tile.elements()}, dtype}};
  }
  return {{"k", StateKind::ring, {map.k_heads, map.head_dim}, compute, window},
          {"v", StateKind::ring, {map.k_heads, map.head_dim}, compute, window}};
}

std::vector<Port> AttentionCore::reads() const {
  if (k_ != nullptr) {
    return {};
  }
  return {{.name = "kv", .memory = kv_spec(), .at_every_row = true}};
}

std::vector<Port> AttentionCore::writes() const {
  const ops::HeadMap& map = config_.options.map;
  std::vector<Port> ports = {
      {.name = "heads",
       .memory = {.kind = MemorySpec::Kind::rows, .width = map.heads * map.head_dim}}};
  // A window forgets the keys that a reader without one would look at.
  if (k_ != nullptr && config_.options.window == 0) {
    ports.push_back({.name = "kv", .memory = kv_spec(), .at_every_row = true});
  }
  return ports;
}

AttentionCore::KeysValues AttentionCore::make_keys_values(Exec& exec, const Var& h,
                                                          const Segments& rows) const {
  Var k = linear(exec, h, k_->weight);
  if (config_.rope_base > 0) {
    k = rope(exec, k, config_.options.map.k_heads, rows, config_.rope_base);
  }
  return {k, linear(exec, h, v_->weight, weight_of(v_bias_))};
}

Var AttentionCore::attend(Exec& exec, const Var& h, MixerCall& call) const {
  Var q =
      linear(exec, select_rows(exec, h, call.rows, call.wanted), q_->weight, weight_of(q_bias_));
  if (config_.rope_base > 0) {
    q = rope(exec, q, config_.options.map.heads, call.wanted, config_.rope_base);
  }
  if (k_ == nullptr) {
    return attend_memory(exec, q, call.reads.at("kv"), call.wanted);
  }
  const KeysValues fresh = make_keys_values(exec, h, call.rows);
  if (!call.states.empty() && config_.options.window > 0) {
    return attend_ring(exec, q, fresh, call);
  }
  const Memory kv = call.states.empty() ? Memory{.segments = call.rows, .k = fresh.k, .v = fresh.v}
                                        : append_to_pages(fresh, call);
  if (call.writes_port("kv")) {
    call.writes["kv"] = kv;
  }
  return attend_memory(exec, q, kv, call.wanted);
}

Var AttentionCore::attend_memory(Exec& exec, const Var& q, const Memory& memory,
                                 const Segments& wanted) const {
  if (memory.spans == nullptr) {
    return attention(exec, q, memory.k, memory.v, wanted, memory.segments, config_.options);
  }
  const ops::HeadMap& map = config_.options.map;
  const Tensor out = exec.empty({wanted.rows(), map.heads * map.v_dim()}, exec.precision.compute);
  ops::attention(heads_of(q, map.heads), wanted, *memory.spans, config_.options,
                 out.split_last(map.heads));
  return {out};
}

// Past tokens from the ring, fresh ones from their rows; the ring takes those up only afterwards,
// because a chunk may be longer than it.
Var AttentionCore::attend_ring(Exec& exec, const Var& q, const KeysValues& fresh,
                               const MixerCall& call) const {
  const int64_t k_heads = config_.options.map.k_heads, window = config_.options.window;
  const Tensor k = heads_of(fresh.k, k_heads), v = heads_of(fresh.v, k_heads);
  Memory memory{.segments = call.rows};
  auto spans = std::make_shared<ops::KvSpans>();
  spans->dtype = k.dtype();
  std::vector<ops::KvTarget> targets;
  for (int s = 0; s < call.rows.count(); ++s) {
    const auto i = static_cast<size_t>(s);
    const int64_t past = call.rows.past[i], rows = call.rows.rows(s), begin = call.rows.begin[i];
    append_ring_spans(*call.states[i], k_buffer, v_buffer, std::max<int64_t>(0, past - window + 1),
                      past, *spans);
    spans->spans.push_back(fresh_span(k, v, begin, begin + rows, past));
    spans->end_segment();
    append_ring_targets(*call.states[i], k_buffer, v_buffer, past, past + rows, begin, targets);
  }
  memory.spans = std::move(spans);
  Var out = attend_memory(exec, q, memory, call.wanted);
  ops::kv_store(k, v, targets);
  return out;
}

Memory AttentionCore::append_to_pages(const KeysValues& fresh, const MixerCall& call) const {
  const int64_t k_heads = config_.options.map.k_heads;
  const int64_t tile_heads = config_.options.map.tile_heads();
  const Tensor k = heads_of(fresh.k, k_heads), v = heads_of(fresh.v, k_heads);
  auto spans = std::make_shared<ops::KvSpans>();
  spans->dtype = k.dtype();
  std::vector<ops::KvTarget> targets;
  for (int s = 0; s < call.rows.count(); ++s) {
    const auto i = static_cast<size_t>(s);
    const int64_t past = call.rows.past[i], end = past + call.rows.rows(s);
    append_page_targets(*call.states[i], kv_buffer, tile_heads, past, end, call.rows.begin[i],
                        targets);
    append_page_spans(*call.states[i], kv_buffer, tile_heads, 0, end, *spans);
    spans->end_segment();
  }
  ops::kv_store(k, v, targets);
  return {.segments = call.rows, .spans = std::move(spans)};
}

Var AttentionCore::project(Exec& exec, const Var& heads, MixerCall& call) const {
  if (call.writes_port("heads")) {
    call.writes["heads"] = {.segments = call.wanted, .rows = heads};
  }
  return linear(exec, heads, proj_->weight, weight_of(proj_bias_));
}

}  // namespace sambay
