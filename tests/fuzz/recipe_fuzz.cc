// The first byte chooses: the rest is a recipe, or the state.json of a checkpoint. It is refused by
// a one-line Error, or is a run of whole steps, or a state that is written back as it was read.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json_fields.h"
#include "train/checkpoint.h"
#include "train/config.h"

namespace {

using namespace sambay;

// More layers are more of the same, and only take time.
bool is_deep(const nlohmann::json& recipe) {
  constexpr int most = 16, refused = 4097;
  const auto member = [](const nlohmann::json& json, const char* name) {
    return json.is_object() ? json.value(name, nlohmann::json()) : nlohmann::json();
  };
  const auto depth = member(member(recipe, "model"), "depth");
  return depth.is_number_integer() && depth > most && depth < refused;
}

bool survives(const ModelConfig& config) {
  try {
    const auto written = config.to_json();
    return ModelConfig::from_json(written, "written").to_json() == written;
  } catch (const Error&) {
    return false;
  }
}

void check_recipe(const nlohmann::json& json) {
  if (is_deep(json)) {
    return;
  }
  const auto recipe = Recipe::from_json(json, "none", "fuzz");
  check(recipe.steps > 0 && recipe.micro_batches() > 0, "a run has steps, and they have tokens");
  for (const int64_t step : {int64_t{0}, recipe.steps / 2, recipe.steps}) {
    const double tokens = static_cast<double>(step) * static_cast<double>(recipe.batch_tokens);
    const double share = recipe.schedule.multiplier(tokens);
    check(share >= 0 && share <= 1 + 1e-9, "a schedule scales the learning rate down");
  }
  check(survives(recipe.model), "a model's config survives writing and reading");
}

void check_state(const nlohmann::json& json) {
  const auto state = TrainState::from_json(json, "fuzz");
  check(TrainState::from_json(state.to_json(), "again") == state,
        "a state survives writing and reading");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    const auto json = parse_json(text, "fuzz");
    data[0] % 2 == 0 ? check_recipe(json) : check_state(json);
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
