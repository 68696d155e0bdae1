// Differential attention: the difference of two softmaxes over a pair's values (spec section 4).
#pragma once

#include "base/json_fields.h"
#include "nn/mixer.h"

namespace sambay {

// Options of attention and `lambda_init` (lam0 of the layer), `norm_eps`.
std::unique_ptr<Mixer> make_diff_attention(JsonFields& fields, const MixerContext& context,
                                           const ParamScope& scope);
nlohmann::json example_diff_attention(int64_t width);

}  // namespace sambay
