// Which matrices of a model are stored in how many bits: by role and shape alone.
#pragma once

#include <string>

#include "nn/param.h"

namespace sambay {

// Of a whole model: none, 8 bits, or 4 bits with embeddings and head in 8.
enum class Quantization : uint8_t { none, int8, int4 };

const char* name(Quantization quantization);
// Throws Error with `where` if there is no such one.
Quantization parse_quantization(const std::string& text, const std::string& where);
Quantization quantization_of_bits(int bits);

// 8 or 4; 0 for parameters that stay as they are: vectors, and hidden matrices so thin (a side
// below 64, or a sixteenth of the other) that their bytes do not count. Mamba's time steps, B and C
// come from such.
int quantized_bits(const Param& param, Quantization quantization);

}  // namespace sambay
