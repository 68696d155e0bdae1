#include "model/quantize.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/cpu.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "formats/safetensors.h"
#include "model/convert.h"
#include "model/dry_run.h"
#include "model_fixture.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using testing::f32;
using testing::fault;
using ::testing::HasSubstr;
using testing::rms_error;
using testing::some_ids;
using testing::TempDir;
using testing::values;

// Wide enough to be quantized, a multiple of 8 alone.
ModelConfig config(const std::string& preset) {
  PresetOptions options{.name = preset, .depth = 8};
  options.width = 72;
  options.heads = 8;
  options.kv_heads = 8;
  options.head_dim = preset == "phi4miniflash" ? 9 : 16;
  options.mlp_width = 100;
  options.vocab_size = 64;
  options.window = 7;
  auto made = make_preset(options);
  made.parametrization = Parametrization::sp;
  return made;
}

class QuantizedModel : public ::testing::Test {
 protected:
  Decoder original(const std::string& preset = "sambay") {
    Decoder decoder(config(preset));
    initialize(decoder, f32, 7, arena_);
    return decoder;
  }
  // Saves it and quantizes the folder.
  QuantizeReport make(const Decoder& decoder, int bits, const std::string& name = "quantized") {
    std::filesystem::remove_all(folder_ / "model");
    save_model(decoder, folder_ / "model", DType::f32);
    return quantize_model(folder_ / "model", folder_ / name, bits);
  }
  std::vector<float> logits(const Decoder& decoder, int64_t chunk) {
    Exec exec{&arena_, nullptr, f32};
    SequenceState state(decoder.state_spec(f32), arena_);
    std::vector<float> out;
    const auto ids = some_ids(40);
    for (int64_t at = 0; at < 40; at += chunk) {
      const int64_t rows = std::min<int64_t>(chunk, 40 - at);
      Segments segments;
      segments.add(rows, at);
      const auto piece = std::span(ids).subspan(static_cast<size_t>(at), static_cast<size_t>(rows));
      const auto some = values(decoder.logits(exec, {piece, segments, {&state}, {}}));
      out.insert(out.end(), some.begin(), some.end());
    }
    return out;
  }

  TempDir folder_;
  Arena arena_;
};

TEST_F(QuantizedModel, HoldsWhatQuantizationMakesOfEachMatrix) {
  const Decoder model = original();
  for (const int bits : {8, 4}) {
    const std::string name = std::to_string(bits);
    const auto report = make(model, bits, name);
    const Decoder loaded = load_model(folder_ / name, f32, arena_);
    size_t quantized = 0;
    for (const auto& param : loaded.params().all()) {
      const Tensor& before = model.params().find(param.name)->weight.value;
      const auto& matrix = param.weight.quantized;
      if (!matrix.defined()) {
        EXPECT_EQ(values(param.weight.value), values(before)) << param.name;
        continue;
      }
      EXPECT_EQ(matrix.shape(), param.shape);
      const auto expected =
          ops::QuantizedMatrix::empty(param.shape[0], param.shape[1], matrix.bits, arena_);
      const auto error = ops::quantize(before, expected);
      EXPECT_EQ(std::memcmp(matrix.data.raw(), expected.data.raw(), matrix.bytes()), 0)
          << param.name;
      const auto& reported = report.tensors[quantized++];
      EXPECT_EQ(reported.name, param.name);
      EXPECT_EQ(reported.bits, matrix.bits);
      EXPECT_DOUBLE_EQ(reported.error.relative(), error.relative());
    }
    EXPECT_EQ(quantized, report.tensors.size());
    EXPECT_LT(report.error.relative(), bits == 8 ? 0.01 : 0.12);
  }
}

TEST_F(QuantizedModel, ChoosesBitsByRoleAndShape) {
  const auto bits_of = [](Role role, const Shape& shape, Quantization quantization) {
    return quantized_bits({"any", shape, role, Init::linear, {}}, quantization);
  };
  EXPECT_EQ(bits_of(Role::hidden, {64, 128}, Quantization::none), 0);
  EXPECT_EQ(bits_of(Role::hidden, {64, 128}, Quantization::int8), 8);
  EXPECT_EQ(bits_of(Role::hidden, {64, 128}, Quantization::int4), 4);
  EXPECT_EQ(bits_of(Role::hidden, {63, 128}, Quantization::int8), 0);
  EXPECT_EQ(bits_of(Role::hidden, {5120, 160}, Quantization::int4), 0);  // dt_proj
  EXPECT_EQ(bits_of(Role::hidden, {192, 5120}, Quantization::int4), 0);  // x_proj
  EXPECT_EQ(bits_of(Role::hidden, {20480, 2560}, Quantization::int4), 4);
  EXPECT_EQ(bits_of(Role::embedding, {200064, 2560}, Quantization::int4), 8);
  EXPECT_EQ(bits_of(Role::readout, {200064, 2560}, Quantization::int8), 8);
  EXPECT_EQ(bits_of(Role::vector, {64, 128}, Quantization::int8), 0);
}

TEST_F(QuantizedModel, IsUsedWhereItIsMapped) {
  const auto report = make(original(), 4);
  Arena fresh;
  const Decoder loaded = load_model(folder_ / "quantized", f32, fresh);
  EXPECT_EQ(fresh.peak_bytes(), 0U);
  // What a dry run predicts, but for rounding each tensor up to whole cache lines.
  const auto cost = dry_generation(loaded.config(), f32, 4, 4);
  EXPECT_GE(cost.weight_bytes, report.bytes_after);
  EXPECT_LT(cost.weight_bytes, report.bytes_after + 64 * loaded.params().all().size());
  EXPECT_LT(report.bytes_after, report.bytes_before / 2);
}

TEST_F(QuantizedModel, TakesTheMemoryThatADryRunSays) {
  auto quantized = config("sambayda");
  quantized.quantization = Quantization::int4;
  const auto peak = [&](const Precision& precision, Device device) {
    Arena arena(device);
    Decoder decoder(quantized);
    allocate(decoder, precision, arena);
    for (const auto& param : decoder.params().all()) {
      const Tensor& data =
          param.weight.quantized.defined() ? param.weight.quantized.data : param.weight.value;
      if (device == Device::cpu) {
        data.zero();
      }
    }
    Exec exec{&arena, nullptr, precision};
    SequenceState state(decoder.state_spec(precision), arena);
    for (const int64_t rows : {40, 16, 1}) {
      Segments segments;
      segments.add(rows, state.length());
      decoder.logits(exec, {some_ids(rows), segments, {&state}, {1}});
    }
    return arena.peak_bytes();
  };
  for (const Isa level : available_isas()) {
    const ScopedIsa scoped(level);
    for (const Precision& precision : {f32, testing::bf16}) {
      EXPECT_EQ(peak(precision, Device::meta), peak(precision, Device::cpu))
          << name(level) << " " << name(precision.compute);
    }
  }
}

TEST_F(QuantizedModel, OfManyRowsIsTheModelOfItsDequantizedWeights) {
  make(original("sambayda"), 4);
  const Decoder loaded = load_model(folder_ / "quantized", f32, arena_);
  Decoder plain(config("sambayda"));
  allocate(plain, f32, arena_);
  auto param = plain.params().all().begin();
  for (const auto& from : loaded.params().all()) {
    if (from.weight.quantized.defined()) {
      ops::dequantize(from.weight.quantized, param->weight.value);
    } else {
      param->weight.value.copy_from(from.weight.value);
    }
    ++param;
  }
  EXPECT_LT(rms_error(logits(loaded, 40), logits(plain, 40)), 1e-5);
}

// Few rows are rounded to 8 bits, each group within max / 254: about 0.5 % of a row's norm a
// product. Through eight layers of two to four products after each other: 5 % at most.
TEST_F(QuantizedModel, GivesNearlyTheSameTokenByToken) {
  for (const char* preset : {"sambay", "sambayda", "phi4miniflash"}) {
    for (const int bits : {8, 4}) {
      const std::string name = fmt::format("{}{}", preset, bits);
      make(original(preset), bits, name);
      const Decoder loaded = load_model(folder_ / name, f32, arena_);
      const auto whole = logits(loaded, 40);
      for (const int64_t chunk : {1, 7, 16}) {
        EXPECT_LT(rms_error(logits(loaded, chunk), whole), 0.05) << name << " by " << chunk;
      }
    }
  }
}

TEST_F(QuantizedModel, IsTheSameFromAPublishedLayout) {
  make(original("phi4miniflash"), 8, "own");
  convert_model(folder_ / "model", folder_ / "published", {"hf", {}, 0});
  quantize_model(folder_ / "published", folder_ / "other", 8);
  EXPECT_EQ(read_text(folder_ / "own" / "model.safetensors"),
            read_text(folder_ / "other" / "model.safetensors"));
}

TEST_F(QuantizedModel, RefusesWeightsThatAreNotFinite) {
  const Decoder model = original();
  const std::string name = "transformer.h.0.mlp.w1.weight";
  model.params().find(name)->weight.value.data<float>()[19 * 72 + 5] = NAN;
  EXPECT_THAT(fault([&] { make(model, 8); }),
              AllOf(HasSubstr(name), HasSubstr("row 19, column 5: expected a finite number")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "quantized"));
}

TEST_F(QuantizedModel, IsTakenForNothingElse) {
  make(original(), 8);
  const auto quantized = folder_ / "quantized";
  EXPECT_THAT(fault([&] { quantize_model(quantized, folder_ / "again", 4); }),
              HasSubstr("quantization: expected none, got int8"));
  EXPECT_THAT(fault([&] {
                convert_model(quantized, folder_ / "hf", {"sambay", {}, 0});
              }),
              HasSubstr("quantization: expected none, got int8"));
  Decoder loaded = load_model(quantized, f32, arena_);
  EXPECT_THAT(fault([&] { allocate_gradients(loaded, f32, arena_); }),
              HasSubstr("transformer.wte.weight: is quantized to 8 bits"));
  Tape tape(arena_);
  Exec recorded{&arena_, &tape, f32};
  Segments segments;
  segments.add(3);
  const auto ids = some_ids(3);
  EXPECT_THAT(fault([&] {
                loaded.hidden(recorded, {ids, segments, {}, {}});
              }),
              HasSubstr("expected floating-point numbers where gradients are wanted, got 8 bits"));
}

TEST_F(QuantizedModel, RefusesFilesThatDoNotFitTheConfig) {
  make(original(), 8);
  const auto folder = folder_ / "quantized", file = folder / "model.safetensors";
  const auto config_json = read_json(folder / "config.json");
  const auto load_fault = [&] { return fault([&] { load_model(folder, f32, arena_); }); };
  const auto says = [&](const std::string& quantization) {
    auto json = config_json;
    json["quantization"] = quantization;
    write_atomically(folder / "config.json", json.dump());
    return load_fault();
  };
  EXPECT_THAT(says("none"),
              HasSubstr("transformer.wte.weight: expected (64, 72), got (4, 2, 1088)"));
  EXPECT_THAT(says("int4"), HasSubstr("weight: expected"));
  EXPECT_THAT(says("int3"), HasSubstr("int3 is not one of"));
  EXPECT_EQ(says("int8"), "");

  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
  {
    const auto stored = Safetensors::open(file);
    metadata = stored.metadata();
    for (const auto& name : stored.names()) {
      tensors.push_back({name, stored.get(name).clone()});
    }
  }
  const std::string w1 = "transformer.h.0.mlp.w1.weight";
  const auto with_note = [&](const std::string& note) {
    auto changed = metadata;
    if (note.empty()) {
      changed.erase(w1);
    } else {
      changed[w1] = note;
    }
    write_safetensors(file, tensors, changed);
    return load_fault();
  };
  EXPECT_EQ(metadata.at(w1), "int8 (200, 72)");
  EXPECT_THAT(with_note(""),
              HasSubstr("metadata: " + w1 + ": expected \"int8 (200, 72)\", got nothing"));
  EXPECT_THAT(with_note("int8 (201, 72)"), HasSubstr("got \"int8 (201, 72)\""));
  const auto with_tensor = [&](const Tensor& tensor) {
    auto changed = tensors;
    for (auto& named : changed) {
      named.tensor = named.name == w1 ? tensor : named.tensor;
    }
    write_safetensors(file, changed, metadata);
    return load_fault();
  };
  EXPECT_THAT(with_tensor(Tensor::zeros({200, 72}, DType::f32)),
              HasSubstr(w1 + ": expected (13, 2, 1088)"));
  EXPECT_THAT(with_tensor(Tensor::zeros({13, 2, 1088}, DType::bf16)),
              HasSubstr(w1 + ": expected u8, got bf16"));
  EXPECT_THAT(with_tensor(Tensor::zeros({12, 2, 1088}, DType::u8)), HasSubstr(w1 + ": expected"));
}

}  // namespace
}  // namespace sambay
