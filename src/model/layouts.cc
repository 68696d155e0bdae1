#include "model/layouts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "formats/weight_files.h"
#include "model/phi4flash.h"

namespace sambay {
namespace {

nlohmann::json write_own_config(const ModelConfig& config, const ConfigNotes&) {
  return config.to_json();
}

std::vector<StoredTensor> own_tensors(const ModelConfig& config, const ParamStore& params) {
  std::vector<StoredTensor> tensors;
  for (const auto& param : params.all()) {
    const int bits = quantized_bits(param, config.quantization);
    const Shape shape =
        bits > 0 ? ops::QuantizedMatrix::stored_shape(param.shape[0], param.shape[1], bits)
                 : param.shape;
    tensors.push_back({param.name, shape, {{param.name, shape[0]}}, bits});
  }
  return tensors;
}

constexpr ModelLayout layouts[] = {
    {"sambay", "", "sambay", ModelConfig::from_json, write_own_config, own_tensors},
    {"hf", "phi4flash", "pt", phi4flash::read_config, phi4flash::write_config, phi4flash::tensors},
};
constexpr const char* model_type_key = "model_type";

}  // namespace

const ModelLayout& layout_of(const nlohmann::json& config, const std::string& where) {
  if (!config.is_object() || !config.contains(model_type_key)) {
    return layouts[0];
  }
  const auto& type = config[model_type_key];
  std::string known;
  for (const auto& layout : layouts) {
    if (layout.model_type[0] != '\0') {
      if (type == layout.model_type) {
        return layout;
      }
      known += (known.empty() ? "" : ", ") + std::string(layout.model_type);
    }
  }
  fail(where, "{}: expected {}, got {}", model_type_key, known, type.dump().substr(0, 60));
}

const ModelLayout& layout_named(const std::string& name) {
  for (const auto& layout : layouts) {
    if (name == layout.name) {
      return layout;
    }
  }
  fail("layout", "{} is not one of {}", name, fmt::join(layout_names(), ", "));
}

std::vector<std::string> layout_names() {
  std::vector<std::string> names;
  for (const auto& layout : layouts) {
    names.emplace_back(layout.name);
  }
  return names;
}

std::string quantization_note(const Param& param, int bits) {
  return fmt::format("int{} {}", bits, param.shape.text());
}

namespace {

void check_kind(const WeightFiles& files, const StoredTensor& tensor, DType dtype,
                const ParamStore& params) {
  const std::string where = files.where(tensor.name);
  if (tensor.bits == 0) {
    if (!is_float(dtype)) {
      fail(where, "{}: expected floating-point numbers, got {}", tensor.name, name(dtype));
    }
    return;
  }
  if (dtype != DType::u8) {
    fail(where, "{}: expected u8, got {}", tensor.name, name(dtype));
  }
  const auto expected = quantization_note(*params.find(tensor.parts[0].param), tensor.bits);
  const auto& metadata = files.metadata(tensor.name);
  const auto found = metadata.find(tensor.name);
  if (found == metadata.end() || found->second != expected) {
    fail(where, "metadata: {}: expected \"{}\", got {}", tensor.name, expected,
         found == metadata.end() ? "nothing" : '"' + found->second.substr(0, 60) + '"');
  }
}

}  // namespace

StoredWeights open_weights(const std::filesystem::path& folder, const ModelLayout& layout,
                           const ModelConfig& config, const ParamStore& params) {
  const auto files = WeightFiles::open(folder);
  const auto tensors = layout.tensors(config, params);
  std::set<std::string> expected;
  for (const auto& tensor : tensors) {
    expected.insert(tensor.name);
  }
  for (const auto& name : files.names()) {
    if (!expected.contains(name)) {
      fail(files.where(name), "{}: the model has no such parameter", name);
    }
  }
  StoredWeights out;
  for (const auto& tensor : tensors) {
    const Tensor whole = files.view(tensor.name);
    if (!(whole.shape() == tensor.shape)) {
      fail(files.where(tensor.name), "{}: expected {}, got {}", tensor.name, tensor.shape.text(),
           whole.shape().text());
    }
    check_kind(files, tensor, whole.dtype(), params);
    int64_t row = 0;
    for (const auto& part : tensor.parts) {
      const Tensor rows = whole.slice(0, row, row + part.rows);
      if (part.param.empty()) {
        out.unused.emplace(tensor.name, rows);
      } else {
        out.params.emplace(part.param, rows);
      }
      row += part.rows;
    }
  }
  check(out.params.size() == params.all().size(), "a layout holds each parameter once");
  return out;
}

}  // namespace sambay
