// Tiny models of every architecture against an independent reference (tests/reference).
#include <gmock/gmock.h>

#include <filesystem>

#include "formats/safetensors.h"
#include "model_fixture.h"

namespace sambay {
namespace {

using testing::max_error;
using testing::rms_error;
using testing::values;

constexpr double logits_tolerance = 1e-4;
constexpr double gradient_tolerance = 1e-3;

struct Golden {
  std::filesystem::path folder;
  Safetensors expected;
  std::vector<int32_t> ids, targets;
  Segments segments;
};

Golden golden(const std::string& name) {
  const auto folder = std::filesystem::path(SAMBAY_GOLDEN) / name;
  Golden out{folder, Safetensors::open(folder / "expected.safetensors"), {}, {}, {}};
  const auto integers = [&](const char* tensor) {
    const Tensor t = out.expected.get(tensor);
    return std::vector<int32_t>(t.data<int32_t>(), t.data<int32_t>() + t.elements());
  };
  out.ids = integers("ids");
  out.targets = integers("targets");
  const auto begin = integers("segment_begin");
  for (size_t s = 0; s + 1 < begin.size(); ++s) {
    out.segments.add(begin[s + 1] - begin[s]);
  }
  return out;
}

// The columns of the tokens that exist.
std::vector<float> vocabulary_of(const Tensor& logits, int64_t vocabulary) {
  return values(logits.slice(1, 0, vocabulary).clone());
}

class GoldenModel : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenModel, LogitsAreThoseOfTheReference) {
  const Golden g = golden(GetParam());
  Arena arena;
  const Decoder decoder = load_model(g.folder, testing::f32, arena);
  Exec exec{&arena, nullptr, testing::f32};
  const auto got = values(decoder.logits(exec, {g.ids, g.segments, {}, {}}));
  const auto wanted = vocabulary_of(g.expected.get("logits"), decoder.config().vocab_size);
  EXPECT_LT(max_error(got, wanted), logits_tolerance);
}

TEST_P(GoldenModel, RoundsNoMoreThanBf16Must) {
  const Golden g = golden(GetParam());
  Arena arena;
  const Decoder decoder = load_model(g.folder, testing::bf16, arena);
  Exec exec{&arena, nullptr, testing::bf16};
  const auto got = values(decoder.logits(exec, {g.ids, g.segments, {}, {}}));
  const int64_t vocabulary = decoder.config().vocab_size;
  const auto exact = vocabulary_of(g.expected.get("logits"), vocabulary);
  const auto rounded = vocabulary_of(g.expected.get("logits_bf16"), vocabulary);
  EXPECT_LT(rms_error(got, exact), 2 * rms_error(rounded, exact));
}

void expect_gradients(const Golden& g, bool recompute) {
  Arena arena;
  Decoder decoder = load_model(g.folder, testing::f32, arena);
  allocate_gradients(decoder, testing::f32, arena);
  Exec exec{&arena, nullptr, testing::f32, recompute};
  const auto counted = std::ranges::count_if(g.targets, [](int32_t t) { return t >= 0; });
  Decoder::LossOptions options{.cross_entropy = {}, .gradients = true};
  options.cross_entropy.gradient_scale = 1.0F / static_cast<float>(counted);
  const auto sums = decoder.loss(exec, {g.ids, g.segments, {}, {}}, g.targets, options);
  ASSERT_EQ(sums.counted, counted);
  const double loss = sums.loss / static_cast<double>(counted);
  EXPECT_NEAR(loss, values(g.expected.get("loss"))[0], logits_tolerance * loss);
  for (const auto& param : decoder.params().all()) {
    const auto wanted = values(g.expected.get("grad." + param.name));
    EXPECT_LT(max_error(values(param.weight.gradient), wanted), gradient_tolerance) << param.name;
  }
}

TEST_P(GoldenModel, GradientsAreThoseOfTheReference) {
  expect_gradients(golden(GetParam()), false);
}

TEST_P(GoldenModel, GradientsAreTheSameWithRecomputedLayers) {
  expect_gradients(golden(GetParam()), true);
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenModel,
                         ::testing::Values("transformer", "transformerls", "samba", "sambay",
                                           "sambayda", "swayoco", "sambaymlp", "sambayattn",
                                           "phi4miniflash", "phi4flash"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace sambay
