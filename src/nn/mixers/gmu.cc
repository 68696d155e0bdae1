#include "nn/mixers/gmu.h"

namespace sambay {
namespace {

class Gmu : public Mixer {
 public:
  Gmu(int64_t memory, int64_t width, const ParamScope& scope)
      : memory_(memory),
        in_proj_(
            &scope.child("in_proj").add("weight", {memory, width}, Role::hidden, Init::linear)),
        out_proj_(&scope.child("out_proj")
                       .add("weight", {width, memory}, Role::hidden, Init::output_linear)) {}

  StateSpec state_spec(const Precision&) const override { return {}; }
  std::vector<Port> reads() const override {
    return {{.name = "memory", .memory = {.kind = MemorySpec::Kind::rows, .width = memory_}}};
  }

  Var forward(Exec& exec, const Var& h, MixerCall& call) const override {
    const auto wanted = [&](const Var& x) { return select_rows(exec, x, call.rows, call.wanted); };
    const Var gate = linear(exec, wanted(h), in_proj_->weight);
    const Var gated = silu_mul(exec, gate, wanted(call.reads.at("memory").rows));
    return linear(exec, gated, out_proj_->weight);
  }

 private:
  int64_t memory_;
  const Param* in_proj_;
  const Param* out_proj_;
};

}  // namespace

std::unique_ptr<Mixer> make_gmu(JsonFields& fields, const MixerContext& context,
                                const ParamScope& scope) {
  return std::make_unique<Gmu>(fields.integer("memory", 1, int64_t{1} << 24), context.width,
                               scope.child("gmu"));
}

nlohmann::json example_gmu(int64_t width) {
  return {{"memory", 2 * width}};
}

}  // namespace sambay
