#include "model/weights.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/new_folder.h"
#include "base/threads.h"
#include "formats/cast.h"
#include "formats/weight_files.h"
#include "model/layouts.h"

namespace sambay {
namespace {

constexpr const char* config_file = "config.json";

Tensor converted(const Tensor& from, DType dtype, Arena& arena) {
  Tensor to = Tensor::empty(from.shape(), dtype, arena);
  cast(from, to);
  return to;
}

// The stored rows as a parameter; rows that are not stored are zero.
Tensor as_param(const Tensor& stored, const Param& param, DType dtype, Arena& arena) {
  const int64_t rows = stored.dim(0);
  if (rows == param.shape[0]) {
    return stored.dtype() == dtype ? stored : converted(stored, dtype, arena);
  }
  Tensor whole = Tensor::empty(param.shape, dtype, arena);
  cast(stored, whole.slice(0, 0, rows));
  whole.slice(0, rows, param.shape[0]).zero();
  return whole;
}

StoredWeights open_folder(const Decoder& decoder, const std::filesystem::path& folder) {
  const auto file = folder / config_file;
  const auto& layout = layout_of(read_json(file), file.string());
  return open_weights(folder, layout, decoder.config(), decoder.params());
}

}  // namespace

void allocate(Decoder& decoder, const Precision& precision, Arena& arena) {
  for (auto& param : decoder.params().all()) {
    if (const int bits = quantized_bits(param, decoder.config().quantization); bits > 0) {
      param.weight.quantized =
          ops::QuantizedMatrix::empty(param.shape[0], param.shape[1], bits, arena);
    } else {
      param.weight.value = Tensor::empty(param.shape, param.dtype(precision), arena);
    }
  }
}

void allocate_gradients(Decoder& decoder, const Precision& precision, Arena& arena) {
  for (auto& param : decoder.params().all()) {
    if (param.weight.quantized.defined()) {
      fail("gradients",
           "{}: is quantized to {} bits; they are those of the model that it was made of",
           param.name, param.weight.quantized.bits);
    }
    param.weight.gradient = Tensor::zeros(param.shape, precision.accum, arena);
  }
}

Precision stored_precision(const std::filesystem::path& folder) {
  const Decoder decoder(ModelConfig::load(folder / config_file));
  const auto stored = open_folder(decoder, folder);
  int64_t wide = 0, narrow = 0;  // numbers
  for (const auto& param : decoder.params().all()) {
    if (param.is_matrix()) {
      const Tensor& matrix = stored.params.at(param.name);
      (size_of(matrix.dtype()) >= size_of(DType::f32) ? wide : narrow) += matrix.elements();
    }
  }
  return {wide > narrow ? DType::f32 : DType::bf16, DType::f32};
}

void load_weights(Decoder& decoder, const std::filesystem::path& folder, const Precision& precision,
                  Arena& arena) {
  const auto stored = open_folder(decoder, folder);
  for (auto& param : decoder.params().all()) {
    const Tensor& tensor = stored.params.at(param.name);
    if (const int bits = quantized_bits(param, decoder.config().quantization); bits > 0) {
      param.weight.quantized = {tensor, bits, 0, param.shape[0], param.shape[1]};
    } else {
      param.weight.value = as_param(tensor, param, param.dtype(precision), arena);
    }
  }
}

Decoder load_model(const std::filesystem::path& folder, const Precision& precision, Arena& arena) {
  Decoder decoder(ModelConfig::load(folder / config_file));
  load_weights(decoder, folder, precision, arena);
  return decoder;
}

void save_model(const Decoder& decoder, const std::filesystem::path& folder, DType matrix_dtype) {
  check(decoder.config().quantization == Quantization::none,
        "quantized models are made by quantize_model");
  std::vector<NamedTensor> tensors;
  for (const auto& param : decoder.params().all()) {
    const DType wanted = param.is_matrix() ? matrix_dtype : DType::f32;
    const Tensor& value = param.weight.value;
    tensors.push_back({param.name, value.dtype() == wanted
                                       ? value
                                       : converted(value, wanted, default_arena(Device::cpu))});
  }
  NewFolder made(folder);
  write_safetensors(made.path() / weights_file, tensors, {{"format", "sambay"}});
  write_atomically(made.path() / config_file, decoder.config().to_json().dump(2) + "\n");
  made.finish();
}

std::string fingerprint(const Decoder& decoder) {
  const auto& params = decoder.params().all();
  std::vector<uint64_t> hashes(params.size());
  parallel_for(std::ssize(params), [&](int64_t i) {
    const Param& param = params[static_cast<size_t>(i)];
    const Tensor& stored =
        param.weight.quantized.defined() ? param.weight.quantized.data : param.weight.value;
    const Tensor value = stored.contiguous() ? stored : stored.clone();
    const std::string what = fmt::format("{} {}", param.name, name(value.dtype()));
    hashes[static_cast<size_t>(i)] =
        hash_bytes({static_cast<const std::byte*>(value.raw()), value.bytes()},
                   hash_bytes(std::as_bytes(std::span(what))));
  });
  const std::string config = decoder.config().to_json().dump();
  return fmt::format("{:016x}", hash_bytes(std::as_bytes(std::span(hashes)),
                                           hash_bytes(std::as_bytes(std::span(config)))));
}

}  // namespace sambay
