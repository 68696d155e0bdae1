#include "model/weights.h"

#include <unistd.h>

#include "base/files.h"
#include "formats/safetensors.h"
#include "ops/elementwise.h"

namespace sambay {
namespace {

constexpr const char* config_file = "config.json";
constexpr const char* weights_file = "model.safetensors";

bool is_float(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::bf16;
}

// The elements in another dtype.
Tensor converted(const Tensor& from, DType dtype, Arena& arena) {
  Tensor to = Tensor::empty(from.shape(), dtype, arena);
  if (from.elements() > 0) {
    const int64_t columns = from.dim(-1);
    const Shape flat{from.elements() / columns, columns};
    ops::scale_cast(from.reshape(flat), 1.0F, to.reshape(flat));
  }
  return to;
}

// Makes a folder beside its final place and gives it its name when it is complete.
class NewFolder {
 public:
  explicit NewFolder(const std::filesystem::path& target)
      : target_(target.has_filename() ? target : target.parent_path()),  // "model/" is "model"
        made_(fmt::format("{}.partial-{}", target_.string(), static_cast<int>(getpid()))) {
    std::error_code error;
    if (std::filesystem::exists(target_) && !std::filesystem::is_empty(target_, error)) {
      fail(target_.string(), "exists already and is not empty");
    }
    std::filesystem::create_directories(made_, error);
    if (error) {
      fail(made_.string(), "cannot be made: {}", error.message());
    }
  }
  ~NewFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(made_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& path() const { return made_; }
  void finish() {
    std::error_code error;
    std::filesystem::rename(made_, target_, error);
    if (error) {
      fail(target_.string(), "cannot be made: {}", error.message());
    }
  }

 private:
  std::filesystem::path target_, made_;
};

}  // namespace

void allocate(Decoder& decoder, const Precision& precision, Arena& arena) {
  for (auto& param : decoder.params().all()) {
    param.weight.value = Tensor::empty(param.shape, param.dtype(precision), arena);
  }
}

void allocate_gradients(Decoder& decoder, const Precision& precision, Arena& arena) {
  for (auto& param : decoder.params().all()) {
    param.weight.gradient = Tensor::zeros(param.shape, precision.accum, arena);
  }
}

void load_weights(Decoder& decoder, const std::filesystem::path& folder, const Precision& precision,
                  Arena& arena) {
  const auto file = Safetensors::open(folder / weights_file);
  const std::string where = file.path().string();
  for (const auto& name : file.names()) {
    if (decoder.params().find(name) == nullptr) {
      fail(where, "{}: the model has no such parameter", name);
    }
  }
  for (auto& param : decoder.params().all()) {
    const Tensor stored = file.get(param.name);
    if (!(stored.shape() == param.shape)) {
      fail(where, "{}: expected {}, got {}", param.name, param.shape.text(), stored.shape().text());
    }
    if (!is_float(stored.dtype())) {
      fail(where, "{}: expected floating-point numbers, got {}", param.name, name(stored.dtype()));
    }
    const DType wanted = param.dtype(precision);
    param.weight.value = stored.dtype() == wanted ? stored : converted(stored, wanted, arena);
  }
}

Decoder load_model(const std::filesystem::path& folder, const Precision& precision, Arena& arena) {
  Decoder decoder(ModelConfig::load(folder / config_file));
  load_weights(decoder, folder, precision, arena);
  return decoder;
}

void save_model(const Decoder& decoder, const std::filesystem::path& folder, DType matrix_dtype) {
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

}  // namespace sambay
