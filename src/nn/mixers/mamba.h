// Mamba-1: gated selective state space (spec section 5).
#pragma once

#include "base/json_fields.h"
#include "nn/mixer.h"

namespace sambay {

// Options `inner` (E), `state` (N), `conv` (W), `dt_rank` (Rt).
std::unique_ptr<Mixer> make_mamba(JsonFields& fields, const MixerContext& context,
                                  const ParamScope& scope);
nlohmann::json example_mamba(int64_t width);

}  // namespace sambay
