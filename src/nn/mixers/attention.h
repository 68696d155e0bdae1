// Softmax attention: full, with a sliding window, or across layers (spec section 4).
#pragma once

#include "base/json_fields.h"
#include "nn/mixer.h"

namespace sambay {

std::unique_ptr<Mixer> make_attention(JsonFields& fields, const MixerContext& context,
                                      const ParamScope& scope);
nlohmann::json example_attention(int64_t width);

}  // namespace sambay
