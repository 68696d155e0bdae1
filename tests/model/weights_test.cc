#include "model/weights.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/files.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::Each;
using testing::f32;
using testing::fault;
using ::testing::HasSubstr;
using testing::small_config;
using testing::TempDir;
using testing::values;

struct Statistics {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Statistics statistics(const Decoder& decoder, const std::string& name) {
  for (const auto& param : decoder.params().all()) {
    if (param.name == name) {
      const auto x = values(param.weight.value);
      Statistics s{0, 0, x[0], x[0]};
      for (const float v : x) {
        s.mean += v / static_cast<double>(x.size());
        s.low = std::min<double>(s.low, v);
        s.high = std::max<double>(s.high, v);
      }
      for (const float v : x) {
        s.deviation += std::pow(v - s.mean, 2) / static_cast<double>(x.size());
      }
      s.deviation = std::sqrt(s.deviation);
      return s;
    }
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

Decoder initialized(const ModelConfig& config, Arena& arena, uint64_t seed = 3) {
  Decoder decoder(config);
  initialize(decoder, f32, seed, arena);
  return decoder;
}

void expect_normal(const Statistics& s, double deviation) {
  EXPECT_NEAR(s.deviation, deviation, 0.08 * deviation);
  EXPECT_NEAR(s.mean, 0, 0.15 * deviation);
  EXPECT_GT(s.high, 2 * deviation);
}

void expect_uniform(const Statistics& s, double bound) {
  EXPECT_LE(std::max(-s.low, s.high), bound);
  EXPECT_GT(std::min(-s.low, s.high), 0.95 * bound);
  EXPECT_NEAR(s.deviation, bound / std::sqrt(3.0), 0.08 * bound);
}

const std::string layer0 = "transformer.h.0.";
const std::string layer1 = "transformer.h.1.";

TEST(Initialisation, OfMupPpIsThatOfTheSpec) {
  Arena arena;
  const Decoder d = initialized(small_config("sambay"), arena);
  expect_normal(statistics(d, "transformer.wte.weight"), 1e-4);
  EXPECT_EQ(statistics(d, "lm_head.weight").high, 0);
  EXPECT_EQ(statistics(d, "lm_head.weight").low, 0);
  expect_uniform(statistics(d, layer0 + "attn.in_proj.weight"), 1 / std::sqrt(32.0));
  expect_uniform(statistics(d, layer0 + "attn.out_proj.weight"), 1 / std::sqrt(64.0));
  expect_uniform(statistics(d, layer0 + "mlp.w3.weight"), 1 / std::sqrt(48.0));
  expect_uniform(statistics(d, layer0 + "attn.dt_proj.weight"), 1 / std::sqrt(2.0));
  expect_uniform(statistics(d, layer0 + "attn.conv1d.weight"), 0.5);
  EXPECT_LE(statistics(d, layer0 + "attn.conv1d.bias").high, 0.5);
  EXPECT_GT(statistics(d, layer0 + "attn.conv1d.bias").high, 0.3);
  EXPECT_EQ(statistics(d, layer0 + "norm_1.weight").low, 1);
  EXPECT_EQ(statistics(d, layer0 + "attn.D").low, 1);
  EXPECT_FLOAT_EQ(static_cast<float>(statistics(d, layer0 + "attn.A_log").high), std::log(16.0F));
  // softplus of the bias is a time step from 1e-3 to 0.1.
  const auto bias = statistics(d, layer0 + "attn.dt_proj.bias");
  EXPECT_GE(std::log1p(std::exp(bias.low)), 1e-3 * 0.999);
  EXPECT_LE(std::log1p(std::exp(bias.high)), 0.1 * 1.001);
}

TEST(Initialisation, OfStandardParametrisationShrinksOutputs) {
  Arena arena;
  auto config = small_config("sambay");
  config.parametrization = Parametrization::sp;
  const Decoder d = initialized(config, arena);
  expect_normal(statistics(d, "lm_head.weight"), 0.02);
  expect_normal(statistics(d, layer0 + "attn.in_proj.weight"), 0.02);
  expect_normal(statistics(d, layer0 + "attn.out_proj.weight"), 0.02 / 4);
  expect_normal(statistics(d, layer1 + "attn.proj.weight"), 0.02 / 4);
  expect_normal(statistics(d, layer1 + "mlp.w3.weight"), 0.02 / 4);
}

TEST(Initialisation, OfTiedMupPpShrinksOutputs) {
  Arena arena;
  auto config = small_config("sambayda");
  config.tied_embeddings = true;
  const Decoder d = initialized(config, arena);
  expect_normal(statistics(d, "transformer.wte.weight"), 0.02);
  expect_uniform(statistics(d, layer1 + "mlp.w3.weight"), 1 / std::sqrt(48.0) / 4);
  EXPECT_NEAR(statistics(d, layer1 + "attn.da.lambda_q1").deviation, 0.1, 0.06);
}

TEST(Initialisation, DependsOnSeedAndNameAlone) {
  Arena arena;
  const auto weights = [&](const ModelConfig& config, uint64_t seed) {
    Decoder d = initialized(config, arena, seed);
    return values(d.params().find(layer0 + "mlp.w1.weight")->weight.value);
  };
  const auto expected = weights(small_config("sambay"), 3);
  EXPECT_EQ(weights(small_config("sambay"), 3), expected);
  EXPECT_EQ(weights(small_config("transformer"), 3), expected);
  EXPECT_NE(weights(small_config("sambay"), 4), expected);
}

// As the numbers of matrices are (tests/ops/random_test.cc).
TEST(Initialisation, TimeStepsHaveTheBitsOfTheirStream) {
  Arena arena;
  const Decoder d = initialized(small_config("sambay"), arena, 3);
  const std::string name = layer0 + "attn.dt_proj.bias";
  Rng rng(3, name);
  for (const float bias : values(d.params().find(name)->weight.value)) {
    const double step = std::exp(std::log(1e-3) + (std::log(0.1) - std::log(1e-3)) * rng.uniform());
    EXPECT_EQ(bias, static_cast<float>(step + std::log(-std::expm1(-step))));
  }
}

TEST(Weights, AreTheSameAfterAFolder) {
  const TempDir scratch;
  Arena arena;
  const Decoder saved = initialized(small_config("phi4miniflash"), arena);
  save_model(saved, scratch / "model", DType::f32);
  const Decoder loaded = load_model(scratch / "model", f32, arena);
  EXPECT_EQ(loaded.config().to_json(), saved.config().to_json());
  auto other = loaded.params().all().begin();
  for (const auto& param : saved.params().all()) {
    EXPECT_EQ(values(other->weight.value), values(param.weight.value)) << param.name;
    ++other;
  }
}

TEST(Weights, KeepVectorsExactWhenMatricesAreRounded) {
  const TempDir scratch;
  Arena arena;
  const Decoder saved = initialized(small_config("sambayda"), arena);
  save_model(saved, scratch / "model", DType::bf16);
  const auto file = Safetensors::open(scratch / "model" / "model.safetensors");
  for (const auto& param : saved.params().all()) {
    const Tensor stored = file.get(param.name);
    if (param.is_matrix()) {
      EXPECT_EQ(stored.dtype(), DType::bf16) << param.name;
    } else {
      EXPECT_EQ(values(stored), values(param.weight.value)) << param.name;
    }
  }
  const Decoder loaded = load_model(scratch / "model", testing::bf16, arena);
  for (const auto& param : loaded.params().all()) {
    EXPECT_EQ(param.weight.value.dtype(), param.is_matrix() ? DType::bf16 : DType::f32);
  }
}

TEST(Weights, AreUsedWhereTheyAreMapped) {
  const TempDir scratch;
  Arena arena;
  save_model(initialized(small_config("sambay"), arena), scratch / "model", DType::f32);
  Arena fresh;
  const Decoder loaded = load_model(scratch / "model", f32, fresh);
  EXPECT_EQ(fresh.peak_bytes(), 0U);
}

TEST(Weights, AreComputedInWhatMostNumbersOfTheirMatricesAreStoredIn) {
  const TempDir scratch;
  Arena arena;
  const Decoder saved = initialized(small_config("sambay"), arena);
  // The dtypes of most matrices, of the embedding, and of what is no matrix.
  const auto precision = [&](DType most, DType embedding, DType other) {
    std::filesystem::remove_all(scratch / "model");
    save_model(saved, scratch / "model", DType::f32);
    std::vector<NamedTensor> tensors;
    for (const auto& param : saved.params().all()) {
      const DType dtype = !param.is_matrix()              ? other
                          : param.role == Role::embedding ? embedding
                                                          : most;
      tensors.push_back({param.name, Tensor::zeros(param.shape, dtype)});
    }
    write_safetensors(scratch / "model" / "model.safetensors", tensors);
    return stored_precision(scratch / "model");
  };
  EXPECT_EQ(precision(DType::f32, DType::f32, DType::f32), f32);
  EXPECT_EQ(precision(DType::f64, DType::f64, DType::f64), f32);
  EXPECT_EQ(precision(DType::f32, DType::bf16, DType::bf16), f32);
  EXPECT_EQ(precision(DType::bf16, DType::bf16, DType::f32), testing::bf16);
  EXPECT_EQ(precision(DType::bf16, DType::f32, DType::f32), testing::bf16);
  EXPECT_EQ(precision(DType::f16, DType::f16, DType::f16), testing::bf16);
}

TEST(Weights, ThatDoNotFitAreRefusedByName) {
  const TempDir scratch;
  Arena arena;
  const Decoder saved = initialized(small_config("sambay"), arena);
  const auto save_with = [&](const std::string& changed, const Tensor& value, bool extra = false) {
    std::filesystem::remove_all(scratch / "model");
    save_model(saved, scratch / "model", DType::f32);
    std::vector<NamedTensor> tensors;
    for (const auto& param : saved.params().all()) {
      if (param.name != changed) {
        tensors.push_back({param.name, param.weight.value});
      } else if (value.defined()) {
        tensors.push_back({param.name, value});
      }
    }
    if (extra) {
      tensors.push_back({"extra", value});
    }
    write_safetensors(scratch / "model" / "model.safetensors", tensors);
    return fault([&] { load_model(scratch / "model", f32, arena); });
  };
  const std::string w1 = layer0 + "mlp.w1.weight";
  EXPECT_EQ(save_with("", {}), "");
  EXPECT_THAT(save_with(w1, {}), HasSubstr(w1 + ": no such tensor"));
  EXPECT_THAT(save_with(w1, Tensor::zeros({96, 31}, DType::f32)), HasSubstr(w1 + ": expected"));
  EXPECT_THAT(save_with(w1, Tensor::zeros({96, 32}, DType::i32)), HasSubstr("i32"));
  EXPECT_THAT(save_with("", Tensor::zeros({1}, DType::f32), true), HasSubstr("extra"));
}

TEST(Weights, AppearAsAWholeFolderOrNotAtAll) {
  const TempDir scratch;
  Arena arena;
  const Decoder saved = initialized(small_config("transformer"), arena);
  std::filesystem::create_directory(scratch / "model");
  save_model(saved, scratch / "model", DType::f32);  // empty: may be replaced
  EXPECT_THAT(fault([&] { save_model(saved, scratch / "model", DType::f32); }),
              HasSubstr("exists already"));
  EXPECT_THAT(fault([&] { load_model(scratch / "nothing", f32, arena); }), HasSubstr("nothing"));
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(scratch.path())) {
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

}  // namespace
}  // namespace sambay
