#include "nn/mixers/diff_attention.h"

#include "nn/mixers/attention.h"
#include "nn/mixers/attention_core.h"

namespace sambay {
namespace {

struct DifferentialConfig {
  int64_t heads = 0;
  int64_t head_dim = 0;
  float lambda_init = 0;
  float eps = 0;
};

class DiffAttention : public Mixer {
 public:
  DiffAttention(const AttentionCore& core, const DifferentialConfig& config,
                const ParamScope& scope)
      : core_(core), config_(config) {
    const auto lambda = [&](const char* name) {
      return &scope.add(name, {config.head_dim}, Role::vector, Init::lambda);
    };
    lambda_q1_ = lambda("lambda_q1");
    lambda_k1_ = lambda("lambda_k1");
    lambda_q2_ = lambda("lambda_q2");
    lambda_k2_ = lambda("lambda_k2");
    subln_ = &scope.child("subln").add("weight", {2 * config.head_dim}, Role::vector, Init::ones);
  }

  StateSpec state_spec(const Precision& precision) const override {
    return core_.state_spec(precision);
  }
  std::vector<Port> reads() const override { return core_.reads(); }
  std::vector<Port> writes() const override { return core_.writes(); }

  Var forward(Exec& exec, const Var& h, MixerCall& call) const override {
    const DifferentialWeights weights = {&lambda_q1_->weight, &lambda_k1_->weight,
                                         &lambda_q2_->weight, &lambda_k2_->weight, &subln_->weight};
    const Var heads = differential(exec, core_.attend(exec, h, call), config_.heads, weights,
                                   config_.lambda_init, config_.eps);
    return core_.project(exec, heads, call);
  }

 private:
  AttentionCore core_;
  DifferentialConfig config_;
  const Param* lambda_q1_;
  const Param* lambda_k1_;
  const Param* lambda_q2_;
  const Param* lambda_k2_;
  const Param* subln_;
};

}  // namespace

std::unique_ptr<Mixer> make_diff_attention(JsonFields& fields, const MixerContext& context,
                                           const ParamScope& scope) {
  const AttentionConfig attention = read_attention_config(fields, true);
  const ops::HeadMap& map = attention.options.map;
  const DifferentialConfig config = {map.heads, map.head_dim, fields.required<float>("lambda_init"),
                                     fields.required<float>("norm_eps")};
  if (!(config.lambda_init >= 0 && config.lambda_init < 1)) {
    fail(fields.where(), "lambda_init: {} is not from 0 to below 1", config.lambda_init);
  }
  if (!(config.eps > 0)) {
    fail(fields.where(), "norm_eps: {} is not above 0", config.eps);
  }
  return std::make_unique<DiffAttention>(AttentionCore(attention, context, scope), config,
                                         scope.child("da"));
}

nlohmann::json example_diff_attention(int64_t width) {
  nlohmann::json options = example_attention(width);
  options["lambda_init"] = 0.35;
  options["norm_eps"] = 1e-5;
  return options;
}

}  // namespace sambay
