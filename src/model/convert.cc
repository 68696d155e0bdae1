#include "model/convert.h"

#include <algorithm>
#include <cstring>

#include "base/json_fields.h"
#include "base/new_folder.h"
#include "formats/cast.h"
#include "formats/weight_files.h"
#include "model/decoder.h"
#include "model/layouts.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_file = "config.json";
constexpr const char* generation_config_file = "generation_config.json";

// What stands beside config and weights and is the same in every layout.
constexpr const char* companions[] = {
    "added_tokens.json", "chat.json",      "chat_template.jinja",   generation_config_file,
    "merges.txt",        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.json",
};

// Bytes that are made at once.
constexpr int64_t block_bytes = int64_t{16} << 20;

void write_bytes(FileWriter& file, const Tensor& tensor) {
  file.write({static_cast<const std::byte*>(tensor.raw()), tensor.bytes()});
}

void write_zeros(FileWriter& file, uint64_t bytes) {
  const std::vector<std::byte> zeros(std::min<uint64_t>(bytes, block_bytes));
  for (; bytes > 0; bytes -= std::min<uint64_t>(bytes, zeros.size())) {
    file.write({zeros.data(), std::min<uint64_t>(bytes, zeros.size())});
  }
}

void write_cast(FileWriter& file, const Tensor& rows, DType dtype, const std::string& name) {
  if (rows.dtype() == dtype) {
    write_bytes(file, rows);
    return;
  }
  const Tensor flat = rows.reshape({rows.elements()});
  const int64_t step = block_bytes / static_cast<int64_t>(size_of(dtype));
  for (int64_t begin = 0; begin < flat.elements(); begin += step) {
    const Tensor block = flat.slice(0, begin, std::min(begin + step, flat.elements()));
    const Tensor made = Tensor::empty(block.shape(), dtype);
    if (!cast(block, made)) {
      fail(name, "has numbers too large for {}", sambay::name(dtype));
    }
    write_bytes(file, made);
  }
}

// One that holds the numbers of both.
DType wider(DType a, DType b) {
  if (a == b) {
    return a;
  }
  return a == DType::f64 || b == DType::f64 ? DType::f64 : DType::f32;
}

bool is_zero(const Tensor& tensor) {
  const auto* bytes = static_cast<const char*>(tensor.raw());
  return std::all_of(bytes, bytes + tensor.bytes(), [](char byte) { return byte == 0; });
}

class Conversion {
 public:
  Conversion(const fs::path& from, const ConvertOptions& options)
      : options_(options),
        from_(from),
        json_(read_json(from / config_file)),
        decoder_(ModelConfig::load(from / config_file)),
        target_(layout_named(options.layout)),
        stored_(open_weights(from, layout_of(json_, (from / config_file).string()),
                             decoder_.config(), decoder_.params())) {
    if (const auto quantization = decoder_.config().quantization;
        quantization != Quantization::none) {
      fail((from / config_file).string(),
           "quantization: expected none, got {}; convert the model that it was made of",
           name(quantization));
    }
  }

  // config.json as text. Throws Error if the layout cannot express the model.
  std::string config() const {
    const Param& embedding = decoder_.params().all().front();
    const auto config = target_.write_config(decoder_.config(), {dtype_of(embedding), token_ids()});
    return config.dump(2) + "\n";
  }
  std::vector<TensorSource> sources() const;
  ConvertReport report() const;
  std::map<std::string, std::string> metadata() const {
    return {{"format", target_.tensor_format}};
  }

 private:
  DType dtype_of(const Param& param) const {
    return param.is_matrix() && options_.matrix_dtype ? *options_.matrix_dtype
                                                      : stored_.params.at(param.name).dtype();
  }
  DType dtype_of(const StoredTensor& tensor) const;
  nlohmann::json token_ids() const;
  void write(FileWriter& file, const StoredTensor& tensor) const;

  ConvertOptions options_;
  fs::path from_;
  nlohmann::json json_;
  Decoder decoder_;
  const ModelLayout& target_;
  StoredWeights stored_;
};

DType Conversion::dtype_of(const StoredTensor& tensor) const {
  std::optional<DType> widest;
  for (const auto& part : tensor.parts) {
    if (!part.param.empty()) {
      const DType dtype = dtype_of(*decoder_.params().find(part.param));
      widest = widest ? wider(*widest, dtype) : dtype;
    }
  }
  return *widest;
}

// What the folder itself says, its config before its sampling defaults.
nlohmann::json Conversion::token_ids() const {
  auto ids = nlohmann::json::object();
  std::error_code error;
  const fs::path file = from_ / generation_config_file;
  const nlohmann::json generation = fs::exists(file, error) ? read_json(file) : nlohmann::json();
  for (const auto* json : {&generation, &json_}) {
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
      if (json->is_object() && json->contains(key) && !(*json)[key].is_null()) {
        ids[key] = (*json)[key];
      }
    }
  }
  return ids;
}

void Conversion::write(FileWriter& file, const StoredTensor& tensor) const {
  const DType dtype = dtype_of(tensor);
  const auto row_bytes = static_cast<uint64_t>(tensor.shape.elements() / tensor.shape[0]) *
                         static_cast<uint64_t>(size_of(dtype));
  for (const auto& part : tensor.parts) {
    int64_t rows = 0;
    if (!part.param.empty()) {
      const Tensor& stored = stored_.params.at(part.param);
      rows = std::min(part.rows, stored.dim(0));
      write_cast(file, stored.slice(0, 0, rows), dtype, tensor.name);
    }
    write_zeros(file, static_cast<uint64_t>(part.rows - rows) * row_bytes);
  }
}

std::vector<TensorSource> Conversion::sources() const {
  std::vector<TensorSource> sources;
  for (const auto& tensor : target_.tensors(decoder_.config(), decoder_.params())) {
    sources.push_back({tensor.name, dtype_of(tensor), tensor.shape,
                       [this, tensor](FileWriter& file) { write(file, tensor); }});
  }
  return sources;
}

ConvertReport Conversion::report() const {
  ConvertReport report;
  report.name = decoder_.config().name;
  report.parameters = decoder_.params().elements();
  for (const auto& [name, rows] : stored_.unused) {
    if (!is_zero(rows)) {
      report.left_out.push_back(name);
    }
  }
  return report;
}

}  // namespace

ConvertReport convert_model(const fs::path& from, const fs::path& to,
                            const ConvertOptions& options) {
  const Conversion conversion(from, options);
  const std::string config = conversion.config();
  const auto sources = conversion.sources();
  ConvertReport report = conversion.report();
  NewFolder made(to);
  report.weight_files =
      write_weights(made.path(), sources, conversion.metadata(), options.shard_bytes);
  for (const auto& source : sources) {
    report.weight_bytes += source.bytes();
  }
  write_atomically(made.path() / config_file, config);
  copy_companions(from, made.path());
  made.finish();
  return report;
}

void copy_companions(const fs::path& from, const fs::path& to) {
  for (const char* name : companions) {
    std::error_code error;
    if (fs::exists(from / name, error)) {
      write_atomically(to / name, read_text(from / name));
    }
  }
}

}  // namespace sambay
