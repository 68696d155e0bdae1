#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "nn/mixer.h"
#include "support/fault.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t width = 32;

std::string error_of(const nlohmann::json& options,
                     const std::map<std::string, MemorySpec>& reads = {}) {
  ParamStore store;
  return testing::fault([&] {
    make_mixer(options, {width, reads}, {store, "x"}, "config.json: layers[3].mixer");
  });
}

nlohmann::json changed(const std::string& kind, const std::string& field,
                       const nlohmann::json& value) {
  nlohmann::json options = example_options(kind, width);
  options[field] = value;
  return options;
}

TEST(MixerOptions, EveryMissingAndUnknownFieldIsNamed) {
  for (const std::string& kind : mixer_kinds()) {
    const nlohmann::json options = example_options(kind, width);
    EXPECT_EQ(error_of(options), "");
    for (const auto& [field, value] : options.items()) {
      nlohmann::json less = options;
      less.erase(field);
      EXPECT_EQ(error_of(less), "[config.json: layers[3].mixer] " + field + ": missing");
      EXPECT_THAT(error_of(changed(kind, field, nlohmann::json::array())),
                  HasSubstr(field + ": [] has the wrong type"));
    }
    EXPECT_EQ(error_of(changed(kind, "colour", 3)),
              "[config.json: layers[3].mixer] colour: unknown field");
  }
}

TEST(MixerOptions, AnUnknownKindListsTheKnownOnes) {
  EXPECT_EQ(error_of({{"kind", "mambo"}}),
            "[config.json: layers[3].mixer] kind: 'mambo' is not one of attention, "
            "diff_attention, gmu, mamba");
}

TEST(MixerOptions, ValuesAreChecked) {
  EXPECT_THAT(error_of(changed("attention", "heads", 3)), HasSubstr("heads: 3 is not a multiple"));
  EXPECT_THAT(error_of(changed("attention", "window", -1)), HasSubstr("window: -1"));
  EXPECT_THAT(error_of(changed("attention", "head_dim", 7)), HasSubstr("head_dim: 7 is odd"));
  EXPECT_THAT(error_of(changed("attention", "rope_base", -1)), HasSubstr("rope_base: -1"));
  EXPECT_THAT(error_of(changed("attention", "score_scale", 0)), HasSubstr("score_scale: 0"));
  EXPECT_THAT(error_of(changed("diff_attention", "kv_heads", 1)), HasSubstr("are not both even"));
  EXPECT_THAT(error_of(changed("diff_attention", "lambda_init", 1)), HasSubstr("lambda_init: 1"));
  EXPECT_THAT(error_of(changed("diff_attention", "norm_eps", 0)), HasSubstr("norm_eps: 0"));
  EXPECT_THAT(error_of(changed("mamba", "state", 65)), HasSubstr("state: 65"));
  EXPECT_THAT(error_of(changed("mamba", "conv", 9)), HasSubstr("conv: 9"));
  EXPECT_THAT(error_of(changed("gmu", "memory", 0)), HasSubstr("memory: 0"));
}

TEST(MixerOptions, WhatIsReadMustFit) {
  const MemorySpec rows = {.kind = MemorySpec::Kind::rows, .width = 63};
  EXPECT_EQ(error_of(example_options("gmu", width), {{"memory", rows}}),
            "[config.json: layers[3].mixer] reads memory: expected rows of 64, got rows of 63");
  EXPECT_THAT(error_of(example_options("attention", width), {{"kv", rows}}),
              HasSubstr("reads kv: expected keys and values of 2 heads of 8, got rows of 63"));
  EXPECT_THAT(error_of(example_options("mamba", width), {{"kv", rows}}),
              HasSubstr("reads kv: there is no such port"));
}

// name and shape of every parameter, and what optimiser and initialisation are told of it.
std::vector<std::string> declared(const nlohmann::json& options,
                                  const std::map<std::string, MemorySpec>& reads = {}) {
  ParamStore store;
  make_mixer(options, {width, reads}, {store, "attn"}, "test");
  std::vector<std::string> out;
  for (const Param& param : store.all()) {
    const char* role = param.role == Role::hidden ? "" : param.role == Role::vector ? " v" : " s";
    out.push_back(param.name + " " + param.shape.text() + role);
  }
  return out;
}

TEST(MixerParameters, AreNamedAsInThePublishedCode) {
  EXPECT_THAT(
      declared(example_options("mamba", width)),
      ElementsAre("attn.in_proj.weight (128, 32)", "attn.conv1d.weight (64, 1, 4) v",
                  "attn.conv1d.bias (64) v", "attn.x_proj.weight (34, 64)",
                  "attn.dt_proj.weight (64, 2)", "attn.dt_proj.bias (64) s",
                  "attn.A_log (64, 16) s", "attn.D (64) s", "attn.out_proj.weight (32, 64)"));
  EXPECT_THAT(declared(example_options("gmu", width)),
              ElementsAre("attn.gmu.in_proj.weight (64, 32)", "attn.gmu.out_proj.weight (32, 64)"));
  EXPECT_THAT(
      declared(example_options("attention", width)),
      ElementsAre("attn.q_proj.weight (32, 32)", "attn.q_proj.bias (32) v",
                  "attn.k_proj.weight (16, 32)", "attn.v_proj.weight (16, 32)",
                  "attn.v_proj.bias (16) v", "attn.proj.weight (32, 32)", "attn.proj.bias (32) v"));
  const MemorySpec kv = {.kind = MemorySpec::Kind::kv, .kv_heads = 2, .head_dim = 8};
  EXPECT_THAT(
      declared(example_options("diff_attention", width), {{"kv", kv}}),
      ElementsAre("attn.q_proj.weight (32, 32)", "attn.q_proj.bias (32) v",
                  "attn.proj.weight (32, 32)", "attn.proj.bias (32) v", "attn.da.lambda_q1 (8) v",
                  "attn.da.lambda_k1 (8) v", "attn.da.lambda_q2 (8) v", "attn.da.lambda_k2 (8) v",
                  "attn.da.subln.weight (16) v"));
}

TEST(MixerPorts, AWindowedLayerDoesNotOfferItsKeys) {
  ParamStore store;
  const auto mixer =
      make_mixer(changed("attention", "window", 4), {width, {}}, {store, "x"}, "test");
  ASSERT_EQ(mixer->writes().size(), 1U);
  EXPECT_EQ(mixer->writes()[0].name, "heads");
}

TEST(MixerState, FollowsTheOptions) {
  const Precision precision = {DType::bf16, DType::f32};
  const auto spec = [&](const nlohmann::json& options) {
    ParamStore store;
    return make_mixer(options, {width, {}}, {store, "x"}, "test")->state_spec(precision);
  };
  const Shape item = {2, 8}, tiles = {2, ops::KvTile(DType::bf16, 8, 1).elements()};
  EXPECT_THAT(spec(example_options("attention", width)),
              ElementsAre(StateBuffer{"kv", StateKind::growing, tiles, DType::bf16, 0}));
  EXPECT_THAT(spec(changed("attention", "window", 5)),
              ElementsAre(StateBuffer{"k", StateKind::ring, item, DType::bf16, 5},
                          StateBuffer{"v", StateKind::ring, item, DType::bf16, 5}));
  EXPECT_THAT(spec(example_options("mamba", width)),
              ElementsAre(StateBuffer{"conv", StateKind::fixed, {3, 64}, DType::f32, 0},
                          StateBuffer{"ssm", StateKind::fixed, {64, 16}, DType::f32, 0}));
  EXPECT_TRUE(spec(example_options("gmu", width)).empty());
}

}  // namespace
}  // namespace sambay
