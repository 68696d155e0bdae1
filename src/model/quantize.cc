#include "model/quantize.h"

#include <algorithm>

#include "base/json_fields.h"
#include "base/new_folder.h"
#include "formats/cast.h"
#include "formats/weight_files.h"
#include "model/convert.h"
#include "model/decoder.h"
#include "model/layouts.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_file = "config.json";
// Weights that are quantized at once.
constexpr int64_t slab_elements = int64_t{1} << 22;

class Quantizer {
 public:
  Quantizer(const fs::path& from, int bits, std::function<void(int64_t)> progress);

  std::string config() const { return config_.to_json().dump(2) + "\n"; }
  std::vector<TensorSource> sources();
  std::map<std::string, std::string> metadata() const;
  QuantizeReport report() const;

 private:
  void write(FileWriter& file, const Param& param, int bits);
  void write_quantized(FileWriter& file, const Param& param, QuantizedTensor& report);
  void advance(int64_t parameters);

  fs::path from_;
  Decoder decoder_;
  ModelConfig config_;  // of the new folder
  StoredWeights stored_;
  std::vector<QuantizedTensor> quantized_;
  std::function<void(int64_t)> progress_;
  int64_t done_ = 0;
};

Quantizer::Quantizer(const fs::path& from, int bits, std::function<void(int64_t)> progress)
    : from_(from),
      decoder_(ModelConfig::load(from / config_file)),
      config_(decoder_.config()),
      progress_(std::move(progress)) {
  const std::string file = (from / config_file).string();
  if (config_.quantization != Quantization::none) {
    fail(file, "quantization: expected none, got {}", name(config_.quantization));
  }
  config_.quantization = quantization_of_bits(bits);
  stored_ = open_weights(from, layout_of(read_json(from / config_file), file), decoder_.config(),
                         decoder_.params());
  for (const Param& param : decoder_.params().all()) {
    if (const int stored_bits = quantized_bits(param, config_.quantization); stored_bits > 0) {
      quantized_.push_back({param.name, param.shape, stored_bits, {}});
    }
  }
}

std::vector<TensorSource> Quantizer::sources() {
  std::vector<TensorSource> sources;
  const auto& own = layout_named("sambay");
  for (const StoredTensor& tensor : own.tensors(config_, decoder_.params())) {
    const Param& param = *decoder_.params().find(tensor.name);
    const DType dtype = tensor.bits > 0 ? DType::u8 : stored_.params.at(param.name).dtype();
    sources.push_back(
        {tensor.name, dtype, tensor.shape,
         [this, &param, bits = tensor.bits](FileWriter& file) { write(file, param, bits); }});
  }
  return sources;
}

std::map<std::string, std::string> Quantizer::metadata() const {
  std::map<std::string, std::string> out = {{"format", "sambay"},
                                            {"quantization", name(config_.quantization)}};
  for (const QuantizedTensor& tensor : quantized_) {
    out.emplace(tensor.name, quantization_note(*decoder_.params().find(tensor.name), tensor.bits));
  }
  return out;
}

void Quantizer::advance(int64_t parameters) {
  done_ += parameters;
  if (progress_) {
    progress_(done_);
  }
}

void Quantizer::write(FileWriter& file, const Param& param, int bits) {
  if (bits > 0) {
    write_quantized(file, param,
                    *std::ranges::find(quantized_, param.name, &QuantizedTensor::name));
    return;
  }
  const Tensor& stored = stored_.params.at(param.name);
  file.write({static_cast<const std::byte*>(stored.raw()), stored.bytes()});
  const std::vector<std::byte> zeros(
      static_cast<size_t>(param.shape.elements() - stored.elements()) * size_of(stored.dtype()));
  file.write(zeros);
  advance(param.shape.elements());
}

// Rows that are not stored are zero.
void Quantizer::write_quantized(FileWriter& file, const Param& param, QuantizedTensor& report) {
  constexpr int64_t block = ops::quantized_block_rows;
  const Tensor& stored = stored_.params.at(param.name);
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const int64_t slab = std::max<int64_t>(1, slab_elements / (block * columns)) * block;
  for (int64_t begin = 0; begin < rows; begin += slab) {
    const int64_t count = std::min(slab, rows - begin);
    const int64_t present = std::clamp<int64_t>(stored.dim(0) - begin, 0, count);
    const Tensor weights = Tensor::zeros({count, columns}, DType::f32);
    if (present > 0) {
      cast(stored.slice(0, begin, begin + present), weights.slice(0, 0, present));
    }
    const auto made =
        ops::QuantizedMatrix::empty(count, columns, report.bits, default_arena(Device::cpu));
    try {
      report.error += ops::quantize(weights, made);
    } catch (const Error& e) {
      fail(from_.string(), "{}: rows from {} on: {}", param.name, begin, e.what());
    }
    file.write({static_cast<const std::byte*>(made.data.raw()), made.data.bytes()});
    advance(count * columns);
  }
}

QuantizeReport Quantizer::report() const {
  QuantizeReport report;
  report.name = config_.name;
  report.parameters = decoder_.params().elements();
  report.tensors = quantized_;
  for (const QuantizedTensor& tensor : quantized_) {
    report.error += tensor.error;
  }
  for (const auto& [name, tensor] : stored_.params) {
    report.bytes_before += tensor.bytes();
  }
  return report;
}

}  // namespace

QuantizeReport quantize_model(const fs::path& from, const fs::path& to, int bits,
                              const std::function<void(int64_t)>& progress) {
  Quantizer quantizer(from, bits, progress);
  const auto sources = quantizer.sources();
  NewFolder made(to);
  write_weights(made.path(), sources, quantizer.metadata(), 0);
  write_atomically(made.path() / config_file, quantizer.config());
  copy_companions(from, made.path());
  made.finish();
  QuantizeReport report = quantizer.report();
  for (const TensorSource& source : sources) {
    report.bytes_after += source.bytes();
  }
  return report;
}

}  // namespace sambay
