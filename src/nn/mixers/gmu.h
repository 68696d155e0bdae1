// The gated memory unit: an earlier layer's memory, gated by this layer's input (spec section 8).
#pragma once

#include "base/json_fields.h"
#include "nn/mixer.h"

namespace sambay {

// Option `memory`: the width of the memory that the port "memory" reads.
std::unique_ptr<Mixer> make_gmu(JsonFields& fields, const MixerContext& context,
                                const ParamScope& scope);
nlohmann::json example_gmu(int64_t width);

}  // namespace sambay
