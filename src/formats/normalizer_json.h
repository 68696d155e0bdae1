// The "normalizer" of a tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "formats/json_field.h"
#include "formats/tokenizer_json.h"

namespace sambay {

// null: no steps; a Sequence: those of its parts. Throws Error naming what is not supported.
std::vector<NormalizerStep> read_normalizer(const JsonField& field);

nlohmann::json write_normalizer(const std::vector<NormalizerStep>& steps);

}  // namespace sambay
