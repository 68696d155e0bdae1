#include "model/config.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/json_fields.h"
#include "model/decoder.h"
#include "support/fault.h"

namespace sambay {
namespace {

using testing::fault;
using ::testing::HasSubstr;

ModelConfig preset(const std::string& name, int64_t depth) {
  PresetOptions options;
  options.name = name;
  options.depth = depth;
  return make_preset(options);
}

// The spec's letters: R recurrent, S window, A full, C cross, G gated memory unit.
std::string letters(const ModelConfig& config) {
  std::string out;
  for (const auto& layer : config.layers) {
    const auto kind = layer.mixer["kind"].get<std::string>();
    out += kind == "mamba"                            ? 'R'
           : kind == "gmu"                            ? 'G'
           : layer.reads.contains("kv")               ? 'C'
           : layer.mixer["window"].get<int64_t>() > 0 ? 'S'
                                                      : 'A';
  }
  return out;
}

TEST(Presets, LayOutTheirLayersAsTheSpecSays) {
  EXPECT_EQ(letters(preset("transformer", 8)), "AAAAAAAA");
  EXPECT_EQ(letters(preset("transformerls", 8)), "SSSASSSA");
  EXPECT_EQ(letters(preset("samba", 8)), "RSRSRSRS");
  EXPECT_EQ(letters(preset("sambay", 8)), "RSRSRAGC");
  EXPECT_EQ(letters(preset("sambayda", 16)), "RSRSRSRSRAGCGCGC");
  EXPECT_EQ(letters(preset("sambayoco", 8)), "RSRSRACC");
  EXPECT_EQ(letters(preset("swayoco", 8)), "SSSSSACC");
  EXPECT_EQ(letters(preset("mambay", 8)), "RRRRRAGC");
  EXPECT_EQ(letters(preset("sambayattnall", 8)), "RSRSRAGG");
  EXPECT_EQ(letters(preset("phi4miniflash", 0)), "RSRSRSRSRSRSRSRSRAGCGCGCGCGCGCGC");
}

struct Count {
  const char* preset;
  int64_t d8, d16, d24;
};

class ParameterCounts : public ::testing::TestWithParam<Count> {};

TEST_P(ParameterCounts, AreThoseOfTheSpec) {
  const Count& count = GetParam();
  EXPECT_EQ(Decoder(preset(count.preset, 8)).params().elements(), count.d8);
  EXPECT_EQ(Decoder(preset(count.preset, 16)).params().elements(), count.d16);
  EXPECT_EQ(Decoder(preset(count.preset, 24)).params().elements(), count.d24);
}

INSTANTIATE_TEST_SUITE_P(
    Presets, ParameterCounts,
    ::testing::Values(Count{"transformer", 187188224, 1104218112, 3480898560},
                      Count{"transformerls", 187188224, 1104218112, 3480898560},
                      Count{"samba", 188165968, 1128757664, 3573310704},
                      Count{"sambay", 190340000, 1129306688, 3559614432},
                      Count{"sambayda", 190343072, 1129312832, 3559623648},
                      Count{"sambayoco", 193325328, 1138699296, 3578090544},
                      Count{"sambayattn", 193325328, 1138699296, 3578090544},
                      Count{"sambayattnall", 193325328, 1138699296, 3578090544},
                      Count{"swayoco", 190645520, 1121471520, 3530495280},
                      Count{"sambaymlp", 184238400, 1108206720, 3513424320},
                      Count{"mambay", 187368000, 1117653120, 3527766720}),
    [](const auto& test) { return std::string(test.param.preset); });

TEST(Presets, CountPhi4MiniFlash) {
  EXPECT_EQ(Decoder(preset("phi4miniflash", 0)).params().elements(), 3852551424);
}

TEST(Presets, CarryTheMultipliersOfTheParametrization) {
  PresetOptions options{.name = "sambay", .depth = 8};
  options.head_dim = 64;
  const auto mup_pp = make_preset(options);
  EXPECT_FLOAT_EQ(mup_pp.residual_multiplier, 0.25F);
  EXPECT_FLOAT_EQ(mup_pp.logit_multiplier, 2.0F);
  EXPECT_DOUBLE_EQ(mup_pp.layers[1].mixer["score_scale"].get<double>(), std::sqrt(128.0) / 64);
  options.parametrization = Parametrization::mup;
  EXPECT_FLOAT_EQ(make_preset(options).residual_multiplier, 1.0F);
  EXPECT_FLOAT_EQ(make_preset(options).logit_multiplier, 2.0F);
  options.parametrization = Parametrization::sp;
  EXPECT_FLOAT_EQ(make_preset(options).logit_multiplier, 1.0F);
  EXPECT_DOUBLE_EQ(make_preset(options).layers[1].mixer["score_scale"].get<double>(), 0.125);
}

TEST(Presets, RefuseWhatDoesNotFit) {
  EXPECT_THAT(fault([] { preset("gpt", 8); }), HasSubstr("name: gpt is unknown"));
  EXPECT_THAT(fault([] { preset("sambay", 0); }), HasSubstr("depth: required"));
  EXPECT_THAT(fault([] { preset("sambay", -4); }), HasSubstr("depth"));
  EXPECT_THAT(fault([] { preset("sambay", 10); }), HasSubstr("multiple of 4"));
  EXPECT_THAT(fault([] { preset("sambay", int64_t{1} << 40); }), HasSubstr("over 4096"));
  constexpr auto huge = int64_t{1} << 40;
  EXPECT_THAT(fault([] {
                make_preset({.name = "sambayattn", .depth = 4, .heads = huge, .head_dim = huge});
              }),
              HasSubstr("heads: 1099511627776 is over 16777216"));
  EXPECT_THAT(fault([] { make_preset({.name = "sambay", .depth = 8, .heads = 8, .kv_heads = 3}); }),
              HasSubstr("kv_heads"));
}

TEST(Config, IsTheSameAfterJson) {
  for (const auto& name : preset_names()) {
    const auto config = preset(name, 8);
    const auto text = config.to_json().dump();
    const auto back = ModelConfig::from_json(parse_json(text, "text"), "text");
    EXPECT_EQ(back.to_json().dump(), text) << name;
    EXPECT_EQ(back.residual_multiplier, config.residual_multiplier);
  }
}

TEST(Config, NamesTheFieldThatIsWrong) {
  const auto with = [](const char* pointer, const nlohmann::json& value) {
    auto json = preset("sambay", 8).to_json();
    json[nlohmann::json::json_pointer(pointer)] = value;
    return fault([&] { ModelConfig::from_json(json, "config.json"); });
  };
  EXPECT_EQ(with("/name", "x"), "");
  EXPECT_THAT(with("/format", "llama"), HasSubstr("[config.json] format"));
  EXPECT_THAT(with("/version", 2), HasSubstr("version"));
  EXPECT_THAT(with("/width", 0), HasSubstr("width"));
  EXPECT_THAT(with("/width", 1.5), HasSubstr("width"));
  EXPECT_THAT(with("/vocab_size", -1), HasSubstr("vocab_size"));
  EXPECT_THAT(with("/padded_vocab_size", 32001), HasSubstr("padded_vocab_size"));
  EXPECT_THAT(with("/norm", "batch"), HasSubstr("norm] batch"));
  EXPECT_THAT(with("/norm_eps", 0), HasSubstr("norm_eps"));
  EXPECT_THAT(with("/residual_multiplier", nullptr), HasSubstr("residual_multiplier"));
  EXPECT_THAT(with("/logit_multiplier", 1e300), HasSubstr("logit_multiplier"));
  EXPECT_THAT(with("/quantization", "int5"), HasSubstr("quantization] int5"));
  EXPECT_THAT(with("/colour", "red"), HasSubstr("colour: unknown"));
  EXPECT_THAT(with("/layers", nlohmann::json::array()), HasSubstr("layers"));
  EXPECT_THAT(with("/layers/2/mlp/width", 0), HasSubstr("layers[2].mlp] width"));
  EXPECT_THAT(with("/layers/2/mixer", 3), HasSubstr("layers[2].mixer"));
  EXPECT_THAT(with("/layers/2/reads", {{"kv", 1}}), HasSubstr("layers[2].reads] kv"));
}

TEST(Config, RefusesMissingFields) {
  auto whole = preset("sambay", 8).to_json();
  whole.erase("quantization");  // which folders made before it existed lack
  EXPECT_EQ(ModelConfig::from_json(whole, "config.json").quantization, Quantization::none);
  for (const auto& [key, value] : whole.items()) {
    auto json = whole;
    json.erase(key);
    EXPECT_THAT(fault([&] { ModelConfig::from_json(json, "config.json"); }),
                HasSubstr(key + ": missing"));
  }
}

// The wiring of an otherwise good model, changed.
std::string wiring_fault(size_t layer, const std::map<std::string, std::string>& reads,
                         const std::map<std::string, std::string>& writes) {
  auto config = preset("sambay", 8);
  config.layers[layer].reads = reads;
  config.layers[layer].writes = writes;
  return fault([&] { const Decoder decoder(std::move(config)); });
}

TEST(Wiring, IsCheckedWhenADecoderIsMade) {
  EXPECT_EQ(wiring_fault(6, {{"memory", "ssm"}}, {}), "");
  EXPECT_THAT(wiring_fault(6, {}, {}), HasSubstr("layers[6]"));
  EXPECT_THAT(wiring_fault(6, {{"memory", "other"}}, {}), HasSubstr("no earlier layer writes"));
  EXPECT_THAT(wiring_fault(6, {{"memory", "kv"}}, {}), HasSubstr("layers[6]"));
  EXPECT_THAT(wiring_fault(7, {{"kv", "ssm"}}, {}), HasSubstr("layers[7]"));
  EXPECT_THAT(wiring_fault(6, {{"memory", "ssm"}, {"kv", "kv"}}, {}), HasSubstr("layers[6]"));
  EXPECT_THAT(wiring_fault(4, {}, {{"scan", "ssm"}, {"up", "ssm"}}), HasSubstr("has a writer"));
  EXPECT_THAT(wiring_fault(4, {}, {{"scan", "ssm"}, {"heads", "x"}}), HasSubstr("no such port"));
  EXPECT_THAT(wiring_fault(4, {}, {}), HasSubstr("no earlier layer writes"));
}

}  // namespace
}  // namespace sambay
