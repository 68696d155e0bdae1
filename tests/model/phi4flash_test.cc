#include "model/phi4flash.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/json_fields.h"
#include "formats/weight_files.h"
#include "model/convert.h"
#include "model_fixture.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using testing::bf16;
using ::testing::ElementsAre;
using testing::f32;
using testing::fault;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::values;
namespace fs = std::filesystem;

nlohmann::json published_config() {
  return read_json(fs::path(SAMBAY_MODEL_DATA) / "phi-4-mini-flash-config.json");
}

ModelConfig read(const nlohmann::json& json) {
  return phi4flash::read_config(json, "config.json");
}

PresetOptions small_options(int64_t vocab_size) {
  return {.name = "phi4miniflash",
          .depth = 8,
          .width = 32,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = 4,
          .mlp_width = 48,
          .vocab_size = vocab_size,
          .window = 7,
          .training_length = 128};
}

// A folder in our layout. 61 tokens leave rows of the embedding that no token uses.
Decoder save_small(const fs::path& folder, Arena& arena, int64_t vocab_size = 61,
                   DType dtype = DType::f32) {
  Decoder decoder(make_preset(small_options(vocab_size)));
  initialize(decoder, f32, 5, arena);
  save_model(decoder, folder, dtype);
  return decoder;
}

void convert(const fs::path& from, const fs::path& to, const char* layout,
             uint64_t shard_bytes = 0) {
  convert_model(from, to, {.layout = layout, .matrix_dtype = {}, .shard_bytes = shard_bytes});
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

std::vector<float> logits_of(const fs::path& folder, const Precision& precision) {
  Arena arena;
  const Decoder decoder = load_model(folder, precision, arena);
  Exec exec{&arena, nullptr, precision};
  const auto ids = testing::some_ids(40);
  Segments segments;
  segments.add(27);
  segments.add(13);
  return values(decoder.logits(exec, {ids, segments, {}, {}}));
}

TEST(Phi4FlashConfig, IsThatOfThePreset) {
  const ModelConfig config = read(published_config());
  PresetOptions options{.name = "phi4miniflash"};
  options.training_length = 262144;
  EXPECT_EQ(config.to_json(), make_preset(options).to_json());
}

// Spec section 9, and the state of sections 5, 4 and 13: nine Mamba layers (filter and scan in
// f32), eight windows of 512 and one layer of all tokens (in whole pages), 20 heads of 64 in bf16.
TEST(Phi4FlashConfig, HasTheCountsOfTheSpec) {
  const Decoder decoder(read(published_config()));
  EXPECT_EQ(decoder.params().elements(), 3'852'551'424);
  const auto expected = [](size_t tokens) {
    const size_t pages = (tokens + page_tokens - 1) / page_tokens;
    const size_t token = size_t{2} * 20 * 64 * 2;
    return 9 * 5120 * (3 + 16) * size_t{4} + 8 * 512 * token + pages * page_tokens * token;
  };
  for (const size_t tokens : {1, 1024, 32768}) {
    EXPECT_EQ(state_bytes(decoder.state_spec(bf16), static_cast<int64_t>(tokens)),
              expected(tokens));
  }
}

TEST(Phi4FlashConfig, TakesTheFormsThatFieldsHave) {
  const ModelConfig expected = read(published_config());
  auto json = published_config();
  auto windows = nlohmann::json::array(), types = nlohmann::json::array();
  for (int i = 0; i < 32; ++i) {
    const bool windowed = i < 16 && i % 2 == 1;
    windows.push_back(windowed ? nlohmann::json(512) : nlohmann::json());
    types.push_back(windowed ? "sliding_attention" : i % 2 == 0 ? "mamba" : "full_attention");
  }
  json["sliding_window"] = windows;
  json["layer_types"] = types;
  json["mamba_dt_rank"] = 160;
  json["head_dim"] = 64;
  json["rope_scaling"] = {{"type", "longrope"}};  // no layer has positions
  for (const char* field : {"mamba_d_state", "mamba_d_conv", "mamba_expand", "layer_norm_eps",
                            "tie_word_embeddings", "hidden_act", "mb_per_layer"}) {
    json.erase(field);  // what the published code takes without them
  }
  EXPECT_EQ(read(json).to_json(), expected.to_json());
  json["layer_norm_eps"] = 1e-6;
  json["tie_word_embeddings"] = false;
  json["mamba_d_state"] = 8;
  json["mamba_expand"] = 1;
  const ModelConfig changed = read(json);
  EXPECT_FLOAT_EQ(changed.norm_eps, 1e-6F);
  EXPECT_FALSE(changed.tied_embeddings);
  EXPECT_EQ(changed.layers[0].mixer["state"], 8);
  EXPECT_EQ(changed.layers[0].mixer["inner"], 2560);
  EXPECT_EQ(changed.layers[18].mixer["memory"], 2560);
  EXPECT_EQ(changed.layers[17].mixer["norm_eps"], 1e-5);  // of subln, which no field changes
}

TEST(Phi4FlashConfig, IsRefusedByFieldAndValue) {
  const auto with = [](const char* field, const nlohmann::json& value) {
    auto json = published_config();
    json[field] = value;
    return fault([&] { read(json); });
  };
  EXPECT_EQ(with("hidden_act", "gelu"),
            "[config.json] hidden_act: expected \"silu\", got \"gelu\"");
  EXPECT_EQ(with("mb_per_layer", 1), "[config.json] mb_per_layer: expected 2, got 1");
  EXPECT_EQ(with("mamba_conv_bias", false),
            "[config.json] mamba_conv_bias: expected true, got false");
  EXPECT_EQ(with("mamba_proj_bias", true),
            "[config.json] mamba_proj_bias: expected false, got true");
  EXPECT_EQ(with("mlp_bias", true), "[config.json] mlp_bias: expected false, got true");
  EXPECT_EQ(with("lm_head_bias", true), "[config.json] lm_head_bias: expected false, got true");
  EXPECT_THAT(with("quantization_config", {{"bits", 4}}), HasSubstr("{\"bits\":4}"));
  EXPECT_EQ(with("residual_multiplier", 0.5), "[config.json] residual_multiplier: unknown field");
  EXPECT_THAT(with("num_hidden_layers", 30), HasSubstr("30 is not a multiple of 4"));
  EXPECT_THAT(with("num_hidden_layers", uint64_t{1} << 63), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(with("hidden_size", -1), HasSubstr("hidden_size: -1"));
  EXPECT_THAT(with("hidden_size", 2561), HasSubstr("num_attention_heads: 40 does not divide"));
  EXPECT_THAT(with("hidden_size", 2560.5), HasSubstr("hidden_size"));
  EXPECT_THAT(with("num_key_value_heads", 16), HasSubstr("num_key_value_heads: 16"));
  EXPECT_THAT(with("num_key_value_heads", 5), HasSubstr("num_key_value_heads: 5"));
  EXPECT_THAT(with("head_dim", 128), HasSubstr("head_dim: expected 64, got 128"));
  EXPECT_THAT(with("sliding_window", nullptr), HasSubstr("sliding_window: null"));
  EXPECT_THAT(with("sliding_window", 0), HasSubstr("sliding_window: 0"));
  EXPECT_THAT(with("sliding_window", nlohmann::json::array({512})), HasSubstr("a list of 32"));
  EXPECT_THAT(with("sliding_window", std::vector<int>(32, 512)),
              HasSubstr("sliding_window[0]: expected null, got 512"));
  EXPECT_THAT(with("sliding_window", std::vector<nlohmann::json>(32)),
              HasSubstr("sliding_window[1]: null"));
  EXPECT_THAT(with("layer_types", std::vector<std::string>(32, "full_attention")),
              HasSubstr("layer_types[1]: expected sliding_attention"));
  EXPECT_THAT(with("mamba_d_state", 128), HasSubstr("mamba_d_state: 128"));
  EXPECT_THAT(with("mamba_d_conv", 1), HasSubstr("mamba_d_conv: 1"));
  EXPECT_THAT(with("mamba_dt_rank", "none"), HasSubstr("mamba_dt_rank: \"none\""));
  EXPECT_THAT(with("layer_norm_eps", 0), HasSubstr("layer_norm_eps"));
  EXPECT_THAT(with("tie_word_embeddings", 1), HasSubstr("tie_word_embeddings: 1"));
  for (const char* field : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "num_key_value_heads", "sliding_window"}) {
    auto json = published_config();
    json.erase(field);
    EXPECT_EQ(fault([&] { read(json); }), fmt::format("[config.json] {}: missing", field));
  }
}

TEST(Phi4FlashConfig, OfAnotherModelTypeIsRefused) {
  const TempDir folder;
  write_atomically(folder / "config.json", R"({"model_type": "llama"})");
  EXPECT_THAT(fault([&] { ModelConfig::load(folder / "config.json"); }),
              HasSubstr("config.json] model_type: expected phi4flash, got \"llama\""));
}

TEST(Phi4FlashConfig, IsWrittenAsItIsRead) {
  for (const bool odd : {false, true}) {
    auto json = published_config();
    if (odd) {
      json.update({{"mamba_dt_rank", 7},
                   {"mamba_expand", 3},
                   {"mamba_d_conv", 3},
                   {"tie_word_embeddings", false},
                   {"layer_norm_eps", 3e-6},
                   {"vocab_size", 77},
                   {"_name_or_path", "org/other"}});
    }
    const ModelConfig config = read(json);
    const auto written = phi4flash::write_config(config, {DType::bf16, {{"eos_token_id", 7}}});
    EXPECT_EQ(read(written).to_json(), config.to_json());
    EXPECT_EQ(written["eos_token_id"], 7);
    for (const auto& [field, value] : json.items()) {
      if (!field.ends_with("_token_id") && field != "_name_or_path" && field != "rope_theta") {
        EXPECT_EQ(written[field], value) << field;
      }
    }
  }
}

TEST(Phi4FlashConfig, ExpressesNoOtherArchitecture) {
  const auto refused = [](const std::string& preset, const std::function<void(ModelConfig&)>& f) {
    auto options = small_options(61);
    options.name = preset;
    ModelConfig config = make_preset(options);
    f(config);
    return fault([&] { phi4flash::write_config(config, {}); });
  };
  const auto as_it_is = [](ModelConfig&) {};
  EXPECT_EQ(refused("phi4miniflash", as_it_is), "");
  EXPECT_EQ(refused("sambay", as_it_is),
            "[phi4flash] layers[1].mixer.kind: expected \"diff_attention\", got \"attention\"");
  EXPECT_THAT(refused("sambayda", as_it_is), HasSubstr("layers[1].mixer.out_bias: expected true"));
  EXPECT_THAT(refused("transformer", as_it_is), HasSubstr("layers[0].mixer.kind"));
  EXPECT_EQ(refused("phi4miniflash", [](ModelConfig& c) { c.residual_multiplier = 0.25F; }),
            "[phi4flash] residual_multiplier: expected 1.0, got 0.25");
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.norm = NormKind::rms; }),
              HasSubstr("norm: expected \"layer\", got \"rms\""));
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.layers[3].mixer["window"] = 8; }),
              HasSubstr("layers[3].mixer.window: expected 7, got 8"));
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.layers[4].mlp_width = 50; }),
              HasSubstr("layers[4].mlp.width: expected 48, got 50"));
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.layers[1].mixer["head_dim"] = 8; }),
              HasSubstr("layers[1].mixer.head_dim: expected 4, got 8"));
  EXPECT_THAT(
      refused("phi4miniflash", [](ModelConfig& c) { c.layers[7].mixer["lambda_init"] = 0.5; }),
      HasSubstr("layers[7].mixer.lambda_init"));
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.layers[4].writes.clear(); }),
              HasSubstr("layers[4].writes.scan"));
  EXPECT_THAT(refused("phi4miniflash", [](ModelConfig& c) { c.layers.pop_back(); }),
              HasSubstr("layers: expected a multiple of 4, got 7"));
}

TEST(Phi4FlashWeights, AreTheSameBitsAfterBothConversions) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t vocabulary : {61, 64}) {
      const TempDir scratch;
      Arena arena;
      save_small(scratch / "own", arena, vocabulary, dtype);
      convert(scratch / "own", scratch / "hf", "hf", 10'000);
      convert(scratch / "hf", scratch / "back", "sambay");
      EXPECT_TRUE(fs::exists(scratch / "hf" / weights_index_file));
      EXPECT_EQ(ModelConfig::load(scratch / "back" / "config.json").to_json(),
                ModelConfig::load(scratch / "own" / "config.json").to_json());
      const auto own = WeightFiles::open(scratch / "own");
      const auto back = WeightFiles::open(scratch / "back");
      EXPECT_EQ(back.names(), own.names());
      for (const auto& name : own.names()) {
        const Tensor a = own.view(name), b = back.view(name);
        const bool table = name == "transformer.wte.weight";
        EXPECT_TRUE(table ? same_bits(a.slice(0, 0, vocabulary), b.slice(0, 0, vocabulary))
                          : same_bits(a, b))
            << name;
      }
    }
  }
}

TEST(Phi4FlashWeights, HaveTheNamesAndShapesOfTheSpec) {
  const TempDir scratch;
  Arena arena;
  save_small(scratch / "own", arena);
  convert(scratch / "own", scratch / "hf", "hf");
  const auto file = Safetensors::open(scratch / "hf" / weights_file);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  const auto shape = [&](const char* name) { return file.get(name).shape().text(); };
  EXPECT_EQ(shape("model.embed_tokens.weight"), "(61, 32)");
  EXPECT_EQ(shape("model.final_layernorm.bias"), "(32)");
  EXPECT_EQ(shape("model.layers.7.post_attention_layernorm.weight"), "(32)");
  EXPECT_EQ(shape("model.layers.0.mlp.fc1.weight"), "(96, 32)");
  EXPECT_EQ(shape("model.layers.0.mlp.fc2.weight"), "(32, 48)");
  EXPECT_EQ(shape("model.layers.0.attn.conv1d.weight"), "(64, 1, 4)");
  EXPECT_EQ(shape("model.layers.0.attn.A_log"), "(64, 16)");
  EXPECT_EQ(shape("model.layers.0.attn.D"), "(64)");
  EXPECT_EQ(shape("model.layers.0.attn.dt_proj.bias"), "(64)");
  EXPECT_EQ(shape("model.layers.1.attn.Wqkv.weight"), "(64, 32)");
  EXPECT_EQ(shape("model.layers.1.attn.Wqkv.bias"), "(64)");
  EXPECT_EQ(shape("model.layers.7.attn.Wqkv.bias"), "(32)");
  EXPECT_EQ(shape("model.layers.7.attn.inner_cross_attn.lambda_q1"), "(4)");
  EXPECT_EQ(shape("model.layers.7.attn.inner_cross_attn.subln.weight"), "(8)");
  EXPECT_EQ(shape("model.layers.7.attn.out_proj.bias"), "(32)");
  EXPECT_EQ(shape("model.layers.6.attn.in_proj.weight"), "(64, 32)");
  EXPECT_EQ(shape("model.layers.6.attn.out_proj.weight"), "(32, 64)");
  EXPECT_FALSE(file.contains("lm_head.weight"));
}

TEST(Phi4FlashWeights, GiveTheSameLogitsInBothLayouts) {
  const TempDir scratch;
  Arena arena;
  save_small(scratch / "own", arena);
  convert(scratch / "own", scratch / "hf", "hf", 10'000);
  for (const auto& precision : {f32, bf16}) {
    const auto logits = logits_of(scratch / "hf", precision);
    EXPECT_EQ(logits, logits_of(scratch / "own", precision));
    EXPECT_TRUE(std::ranges::any_of(logits, [](float x) { return x != 0; }));
  }
}

TEST(Phi4FlashWeights, AreUsedWhereTheyAreMapped) {
  const TempDir scratch;
  Arena arena;
  save_small(scratch / "own", arena, 64);
  convert(scratch / "own", scratch / "hf", "hf");
  Arena fresh;
  const Decoder loaded = load_model(scratch / "hf", f32, fresh);
  EXPECT_EQ(fresh.peak_bytes(), 0U);
}

TEST(Phi4FlashWeights, MayBeUntied) {
  const TempDir scratch;
  Arena arena;
  auto config = make_preset(small_options(61));
  config.tied_embeddings = false;
  Decoder decoder(config);
  initialize(decoder, f32, 5, arena);
  save_model(decoder, scratch / "own", DType::f32);
  convert(scratch / "own", scratch / "hf", "hf");
  EXPECT_EQ(logits_of(scratch / "hf", f32), logits_of(scratch / "own", f32));
}

// Published weights are in one dtype throughout; all but the keys' biases come back.
TEST(Phi4FlashWeights, OfAPublishedFolderComeBack) {
  const TempDir scratch;
  const fs::path golden = fs::path(SAMBAY_GOLDEN) / "phi4flash";
  const auto report =
      convert_model(golden, scratch / "own", {.layout = "sambay", .matrix_dtype = {}});
  EXPECT_THAT(report.left_out,
              ElementsAre("model.layers.1.attn.Wqkv.bias", "model.layers.3.attn.Wqkv.bias",
                          "model.layers.5.attn.Wqkv.bias"));
  convert(scratch / "own", scratch / "hf", "hf");
  const auto before = WeightFiles::open(golden), after = WeightFiles::open(scratch / "hf");
  EXPECT_EQ(after.names(), before.names());
  for (const auto& name : before.names()) {
    const Tensor a = before.view(name), b = after.view(name);
    if (name.ends_with("Wqkv.bias") && a.dim(0) > 16) {
      EXPECT_TRUE(same_bits(a.slice(0, 0, 16), b.slice(0, 0, 16))) << name;
      EXPECT_TRUE(same_bits(b.slice(0, 16, 24), Tensor::zeros({8}, DType::bf16))) << name;
      EXPECT_TRUE(same_bits(a.slice(0, 24, 32), b.slice(0, 24, 32))) << name;
    } else {
      EXPECT_TRUE(same_bits(a, b)) << name;
    }
  }
  for (const auto& precision : {f32, bf16}) {
    const auto logits = logits_of(golden, precision);
    EXPECT_EQ(logits_of(scratch / "own", precision), logits);
    EXPECT_EQ(logits_of(scratch / "hf", precision), logits);
  }
}

// What a file of halves gives is what its numbers give in f32.
TEST(Phi4FlashWeights, MayBeHalves) {
  const TempDir scratch;
  Arena arena;
  save_small(scratch / "own", arena);
  convert_model(scratch / "own", scratch / "f16", {.layout = "hf", .matrix_dtype = DType::f16});
  convert_model(scratch / "f16", scratch / "f32", {.layout = "sambay", .matrix_dtype = DType::f32});
  const auto halves = WeightFiles::open(scratch / "f16"),
             floats = WeightFiles::open(scratch / "f32");
  const Tensor fc1 = halves.view("model.layers.2.mlp.fc1.weight");
  const Tensor w1 = floats.view("transformer.h.2.mlp.w1.weight");
  ASSERT_EQ(fc1.dtype(), DType::f16);
  ASSERT_EQ(w1.dtype(), DType::f32);
  for (int64_t i = 0; i < w1.elements(); ++i) {
    ASSERT_EQ(to_float(fc1.data<F16>()[i]), w1.data<float>()[i]);
  }
  EXPECT_EQ(halves.view("model.layers.0.attn.A_log").dtype(), DType::f32);
  EXPECT_EQ(read_json(scratch / "f16" / "config.json")["torch_dtype"], "float16");
  EXPECT_EQ(logits_of(scratch / "f16", f32), logits_of(scratch / "f32", f32));
  EXPECT_EQ(logits_of(scratch / "f16", bf16), logits_of(scratch / "f32", bf16));
}

TEST(Conversion, TakesAlongWhatBelongsToTheModel) {
  const TempDir scratch;
  Arena arena;
  save_small(scratch / "own", arena);
  write_atomically(scratch / "own" / "tokenizer.json", "T");
  write_atomically(scratch / "own" / "chat_template.jinja", "J");
  write_atomically(scratch / "own" / "generation_config.json",
                   R"({"eos_token_id": [5, 6], "temperature": 0.6})");
  write_atomically(scratch / "own" / "notes.txt", "N");
  convert(scratch / "own", scratch / "hf", "hf");
  EXPECT_EQ(read_text(scratch / "hf" / "tokenizer.json"), "T");
  EXPECT_EQ(read_text(scratch / "hf" / "chat_template.jinja"), "J");
  EXPECT_FALSE(fs::exists(scratch / "hf" / "notes.txt"));
  const auto config = read_json(scratch / "hf" / "config.json");
  EXPECT_EQ(config["eos_token_id"], nlohmann::json::array({5, 6}));
  EXPECT_EQ(config["bos_token_id"], nullptr);
}

TEST(Conversion, MakesAWholeFolderOrNone) {
  const TempDir scratch;
  Arena arena;
  Decoder decoder(make_preset(small_options(61)));
  initialize(decoder, f32, 5, arena);
  decoder.params().find("transformer.h.7.mlp.w3.weight")->weight.value.data<float>()[5] = 1e5F;
  save_model(decoder, scratch / "own", DType::f32);
  const auto to_hf = [&](const char* out, std::optional<DType> dtype) {
    return fault([&] {
      convert_model(scratch / "own", scratch / out,
                    {.layout = "hf", .matrix_dtype = dtype, .shard_bytes = 10'000});
    });
  };
  EXPECT_EQ(to_hf("out", DType::f16),
            "[model.layers.7.mlp.fc2.weight] has numbers too large for f16");
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()), 1);
  EXPECT_EQ(to_hf("out", {}), "");
  EXPECT_THAT(to_hf("out", {}), HasSubstr("exists already"));
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()), 2);
}

// Each fault is one line that names the file and the tensor.
class HostileFolder : public ::testing::Test {
 protected:
  HostileFolder() {
    save_small(scratch_ / "own", arena_);
    convert(scratch_ / "own", folder_, "hf", 10'000);
    index_ = read_json(folder_ / weights_index_file);
  }

  fs::path shard_of(const std::string& tensor) const {
    return folder_ / index_["weight_map"][tensor].get<std::string>();
  }
  // Replaces (by an undefined tensor: removes) a tensor of its shard; the index stays as it is.
  void replace(const std::string& tensor, const Tensor& value) {
    const fs::path shard = shard_of(tensor);
    std::vector<NamedTensor> tensors;
    {
      const auto file = Safetensors::open(shard);
      for (const auto& name : file.names()) {
        if (name != tensor) {
          tensors.push_back({name, file.get(name).clone()});
        }
      }
    }
    if (value.defined()) {
      tensors.push_back({tensor, value});
    }
    write_safetensors(shard, tensors);
  }
  // Replaces text after a tensor's name in the header of its shard.
  void edit_header(const std::string& tensor, const std::string& what, const std::string& by) {
    std::string bytes = read_text(shard_of(tensor));
    const auto at = bytes.find(what, bytes.find("\"" + tensor + "\""));
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, what.size(), by);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    length += by.size() - what.size();
    std::memcpy(bytes.data(), &length, sizeof length);
    write_atomically(shard_of(tensor), bytes);
  }
  void expect_fault(const std::string& file, const std::string& what) {
    const std::string message = fault([&] {
      Arena arena;
      load_model(folder_, f32, arena);
    });
    EXPECT_THAT(message, HasSubstr(file + "] "));
    EXPECT_THAT(message, HasSubstr(what));
  }

  TempDir scratch_;
  Arena arena_;
  fs::path folder_ = scratch_ / "hf";
  nlohmann::json index_;
  const std::string fc1_ = "model.layers.3.mlp.fc1.weight";
};

TEST_F(HostileFolder, LacksATensor) {
  replace(fc1_, {});
  expect_fault(shard_of(fc1_).filename().string(), fc1_ + ": no such tensor");
}

TEST_F(HostileFolder, LacksATensorInTheIndexToo) {
  replace(fc1_, {});
  index_["weight_map"].erase(fc1_);
  write_atomically(folder_ / weights_index_file, index_.dump());
  expect_fault(weights_index_file, fc1_ + ": no such tensor");
}

TEST_F(HostileFolder, HasATensorTooMany) {
  const std::string extra = "model.layers.3.mlp.fc1.bias";
  index_["weight_map"][extra] = index_["weight_map"][fc1_];
  write_atomically(folder_ / weights_index_file, index_.dump());
  replace(extra, Tensor::zeros({96}, DType::f32));
  expect_fault(shard_of(fc1_).filename().string(), extra + ": the model has no such parameter");
}

TEST_F(HostileFolder, HasTensorsOfOtherShapes) {
  const std::string wqkv = "model.layers.1.attn.Wqkv.weight";
  replace(wqkv, Tensor::zeros({64, 31}, DType::f32));
  expect_fault(shard_of(wqkv).filename().string(), wqkv + ": expected (64, 32), got (64, 31)");
  replace(wqkv, Tensor::zeros({32, 32}, DType::f32));
  expect_fault(shard_of(wqkv).filename().string(), wqkv + ": expected (64, 32), got (32, 32)");
  replace(wqkv, Tensor::zeros({}, DType::f32));
  expect_fault(shard_of(wqkv).filename().string(), wqkv + ": expected (64, 32), got ()");
}

TEST_F(HostileFolder, HasTensorsOfOtherTypes) {
  replace(fc1_, Tensor::zeros({96, 32}, DType::i32));
  expect_fault(shard_of(fc1_).filename().string(),
               fc1_ + ": expected floating-point numbers, got i32");
}

TEST_F(HostileFolder, HasOffsetsBeyondAllFiles) {
  const auto header = read_text(shard_of(fc1_));
  const auto entry = header.find("\"" + fc1_ + "\"");
  const auto begin = header.find("\"data_offsets\":[", entry) + 16;
  const std::string offsets = header.substr(begin, header.find(']', begin) - begin);
  const std::string shard = shard_of(fc1_).filename().string();
  edit_header(fc1_, offsets, "0,0");
  expect_fault(shard + ": " + fc1_, "data_offsets: [0, 0] does not hold");
  edit_header(fc1_, "[0,0]", "[9,8]");
  expect_fault(shard + ": " + fc1_, "data_offsets: [9, 8]");
  edit_header(fc1_, "9,8", "8,9223372036854775808");
  expect_fault(shard + ": " + fc1_, "data_offsets: 9223372036854775808 is not");
}

TEST_F(HostileFolder, LacksItsWeights) {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".safetensors") {
      fs::remove(entry.path());
    }
  }
  expect_fault(weights_index_file, "which does not exist");
  fs::remove(folder_ / weights_index_file);
  expect_fault(weights_file, "cannot open");
}

TEST_F(HostileFolder, HasAConfigThatIsNoFile) {
  fs::remove(folder_ / "config.json");
  fs::create_symlink("/dev/zero", folder_ / "config.json");
  expect_fault("config.json", "expected a regular file");
  fs::remove(folder_ / "config.json");
  fs::create_symlink("config.json", folder_ / "config.json");
  expect_fault("config.json", "cannot open");
}

}  // namespace
}  // namespace sambay
