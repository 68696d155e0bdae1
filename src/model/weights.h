// Where a decoder's weights come from: initialisation, or a model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "model/decoder.h"

namespace sambay {

// Fills every parameter as spec section 10 says for the config's parametrisation ("paper" release).
// Each parameter draws from a stream of its own (seed, name), so order and threads do not matter.
void initialize(Decoder& decoder, const Precision& precision, uint64_t seed, Arena& arena);

// Allocates, quantized where the config says so (or on Device::meta only shapes) weights without
// values: for dry runs and benchmarks.
void allocate(Decoder& decoder, const Precision& precision, Arena& arena);

// Binds weights to a folder's files, in whatever layout its config.json is of (model/layouts.h). A
// parameter stored in the dtype that is wanted is used where it is mapped, others are converted
// once; quantized matrices are always used where they are mapped. Throws Error naming the file and
// the tensor: missing, unexpected, wrong shape or dtype.
void load_weights(Decoder& decoder, const std::filesystem::path& folder, const Precision& precision,
                  Arena& arena);
// How a folder's model is run where nothing else is asked for: in fp32 if most numbers of its
// matrices are stored in 32 bits or more, else in bf16. fp16 becomes bf16, not fp32: that keeps the
// memory that the files promise, and what its numbers are multiplied with is rounded to bf16
// anyway. Throws Error as load_weights does.
Precision stored_precision(const std::filesystem::path& folder);
Decoder load_model(const std::filesystem::path& folder, const Precision& precision, Arena& arena);

// config.json and model.safetensors; matrices in `matrix_dtype`, the rest in f32. The folder
// appears whole or not at all; throws Error if it exists and is not empty. Not for quantized models
// (model/quantize.h).
void save_model(const Decoder& decoder, const std::filesystem::path& folder, DType matrix_dtype);

// 16 hexadecimal digits that differ when configs or weights do, or the dtypes that these are in.
std::string fingerprint(const Decoder& decoder);

// Gives every parameter a zeroed gradient buffer in accum. Throws Error naming a quantized one.
void allocate_gradients(Decoder& decoder, const Precision& precision, Arena& arena);

}  // namespace sambay
