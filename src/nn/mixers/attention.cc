#include "nn/mixers/attention.h"

#include "nn/mixers/attention_core.h"

namespace sambay {
namespace {

class Attention : public Mixer {
 public:
  explicit Attention(const AttentionCore& core) : core_(core) {}

  StateSpec state_spec(const Precision& precision) const override {
    return core_.state_spec(precision);
  }
  std::vector<Port> reads() const override { return core_.reads(); }
  std::vector<Port> writes() const override { return core_.writes(); }

  Var forward(Exec& exec, const Var& h, MixerCall& call) const override {
    return core_.project(exec, core_.attend(exec, h, call), call);
  }

 private:
  AttentionCore core_;
};

}  // namespace

std::unique_ptr<Mixer> make_attention(JsonFields& fields, const MixerContext& context,
                                      const ParamScope& scope) {
  return std::make_unique<Attention>(
      AttentionCore(read_attention_config(fields, false), context, scope));
}

nlohmann::json example_attention(int64_t) {
  return {{"heads", 4},         {"kv_heads", 2},       {"head_dim", 8},    {"window", 0},
          {"rope_base", 10000}, {"score_scale", 0.35}, {"qkv_bias", true}, {"out_bias", true}};
}

}  // namespace sambay
