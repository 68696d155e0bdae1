// What plain and differential attention share: projections, positions, keys and values fresh, kept
// or borrowed (spec sections 4 and 13).
#pragma once

#include "base/json_fields.h"
#include "nn/mixer.h"

namespace sambay {

// docs/design.md, "A model on disk".
struct AttentionConfig {
  ops::AttentionOptions options;
  double rope_base = 0;  // 0: no positions
  bool qkv_bias = false;
  bool out_bias = false;
};
// Throws Error naming the field. `paired`: heads come in pairs, as differential attention has them.
AttentionConfig read_attention_config(JsonFields& fields, bool paired);

class AttentionCore {
 public:
  // With a "kv" memory in context.reads there are neither k and v projections nor state.
  AttentionCore(const AttentionConfig& config, const MixerContext& context,
                const ParamScope& scope);

  StateSpec state_spec(const Precision& precision) const;
  std::vector<Port> reads() const;
  std::vector<Port> writes() const;

  // Softmax attention of the wanted rows (wanted, H v_dim). Brings states up to date and fills the
  // port "kv".
  Var attend(Exec& exec, const Var& h, MixerCall& call) const;
  // (wanted, H d) -> (wanted, D). Fills the port "heads".
  Var project(Exec& exec, const Var& heads, MixerCall& call) const;

 private:
  struct KeysValues {
    Var k, v;  // (rows, K d)
  };
  KeysValues make_keys_values(Exec& exec, const Var& h, const Segments& rows) const;
  Var attend_memory(Exec& exec, const Var& q, const Memory& memory, const Segments& wanted) const;
  Var attend_ring(Exec& exec, const Var& q, const KeysValues& fresh, const MixerCall& call) const;
  Memory append_to_pages(const KeysValues& fresh, const MixerCall& call) const;
  MemorySpec kv_spec() const;

  AttentionConfig config_;
  const Param* q_;
  const Param* q_bias_ = nullptr;
  const Param* k_ = nullptr;  // null: cross-attention
  const Param* v_ = nullptr;
  const Param* v_bias_ = nullptr;
  const Param* proj_;
  const Param* proj_bias_ = nullptr;
};

}  // namespace sambay
