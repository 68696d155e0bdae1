#include "train/config.h"

#include <cmath>

#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr int64_t many = int64_t{1} << 40;

// A file named in a recipe, as seen from here.
fs::path beside(const fs::path& folder, const std::string& name) {
  return name.empty() ? fs::path() : folder / name;
}

double number(JsonFields& fields, const std::string& field, double low, double high) {
  const auto value = fields.required<double>(field);
  if (!(value >= low && value <= high)) {
    fail(fields.where(), "{}: {} is not from {} to {}", field, value, low, high);
  }
  return value;
}

ModelConfig read_model(const nlohmann::json& json, const fs::path& folder,
                       const std::string& where) {
  JsonFields fields(json, where);
  if (fields.has("config")) {
    const auto file = fields.required<std::string>("config");
    fields.no_others();
    return ModelConfig::load(beside(folder, file));
  }
  PresetOptions options;
  options.name = fields.required<std::string>("preset");
  const auto size = [&](const char* field, int64_t& value) {
    if (fields.has(field)) {
      value = fields.integer(field, 0, many);
    }
  };
  size("depth", options.depth);
  size("width", options.width);
  size("heads", options.heads);
  size("kv_heads", options.kv_heads);
  size("head_dim", options.head_dim);
  size("mlp_width", options.mlp_width);
  size("vocab_size", options.vocab_size);
  size("window", options.window);
  size("training_length", options.training_length);
  size("base_depth", options.base_depth);
  size("base_head_dim", options.base_head_dim);
  if (fields.has("parametrization")) {
    options.parametrization = parse_parametrization(fields.required<std::string>("parametrization"),
                                                    where + ": parametrization");
  }
  fields.no_others();
  return make_preset(options);
}

DataRecipe read_data(const nlohmann::json& json, const fs::path& folder, const std::string& where) {
  JsonFields fields(json, where);
  DataRecipe data;
  const auto& sources = fields.raw("sources");
  if (!sources.is_array() || sources.empty()) {
    fail(where, "sources: expected a list of {{\"shard\", \"weight\"}}");
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    JsonFields source(sources[i], fmt::format("{}.sources[{}]", where, i));
    data.sources.push_back({beside(folder, source.required<std::string>("shard")),
                            number(source, "weight", 1e-9, 1e9)});
    source.no_others();
  }
  data.row_length = fields.integer("row_length", 2, int64_t{1} << 24);
  data.rows = fields.integer("rows", 1, int64_t{1} << 20);
  data.whole_documents = fields.required<bool>("whole_documents");
  data.validation = beside(folder, fields.required<std::string>("validation"));
  data.validation_rows = fields.integer("validation_rows", 0, int64_t{1} << 30);
  if (!data.validation.empty() && data.validation_rows < 1) {
    fail(where, "validation_rows: expected at least 1 beside a validation shard");
  }
  fields.no_others();
  return data;
}

OptimizerRecipe read_optimizer(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  OptimizerRecipe optimizer;
  optimizer.learning_rate = number(fields, "learning_rate", 0, 1e6);
  optimizer.base_depth = fields.integer("base_depth", 1, 1 << 20);
  optimizer.base_batch_tokens = number(fields, "base_batch_tokens", 0, 1e15);
  optimizer.weight_decay = number(fields, "weight_decay", 0, 1e6);
  optimizer.independent_decay = fields.required<bool>("independent_decay");
  const auto& betas = fields.raw("betas");
  if (!betas.is_array() || betas.size() != 2 || !betas[0].is_number() || !betas[1].is_number()) {
    fail(where, "betas: expected two numbers");
  }
  optimizer.beta1 = betas[0].get<double>();
  optimizer.beta2 = betas[1].get<double>();
  for (const double beta : {optimizer.beta1, optimizer.beta2}) {
    if (!(beta >= 0 && beta < 1)) {
      fail(where, "betas: {} is not in [0, 1)", beta);
    }
  }
  optimizer.epsilon = number(fields, "epsilon", 1e-30, 1);
  optimizer.clip = number(fields, "clip", 0, 1e30);
  fields.no_others();
  return optimizer;
}

// Lengths are given in the schedule's own unit and kept in tokens.
Schedule read_schedule(const nlohmann::json& json, const Recipe& recipe, const std::string& where) {
  JsonFields fields(json, where);
  Schedule schedule;
  const auto unit = fields.required<std::string>("unit");
  if (unit != "tokens" && unit != "steps") {
    fail(where, "unit: \"{}\": expected tokens or steps", unit);
  }
  const double tokens = unit == "tokens" ? 1 : static_cast<double>(recipe.batch_tokens);
  schedule.kind = parse_decay(fields.required<std::string>("decay"), where + ": decay");
  schedule.total = static_cast<double>(recipe.steps) * static_cast<double>(recipe.batch_tokens);
  schedule.warmup = tokens * number(fields, "warmup", 0, 1e15);
  if (schedule.kind == Decay::wsd) {
    schedule.decay = tokens * number(fields, "decay_length", 0, 1e15);
  }
  schedule.floor = number(fields, "floor", 0, 1);
  if (schedule.warmup + schedule.decay > schedule.total) {
    fail(where, "warmup: {} tokens of warm-up and decay in a run of {}",
         schedule.warmup + schedule.decay, schedule.total);
  }
  fields.no_others();
  return schedule;
}

Precision read_precision(const std::string& text, const std::string& where) {
  if (text == "bf16") {
    return {DType::bf16, DType::f32};
  }
  if (text == "f32") {
    return {DType::f32, DType::f32};
  }
  fail(where, "precision: \"{}\": expected bf16 or f32", text);
}

// A run's length is given as steps or as tokens, rounded up to whole steps.
int64_t read_steps(JsonFields& fields, int64_t batch_tokens) {
  if (fields.has("steps") == fields.has("tokens")) {
    fail(fields.where(), "steps: expected either steps or tokens");
  }
  if (fields.has("steps")) {
    return fields.integer("steps", 1, many);
  }
  const int64_t tokens = fields.integer("tokens", 1, int64_t{1} << 60);
  return (tokens + batch_tokens - 1) / batch_tokens;
}

}  // namespace

LearningRateScaling Recipe::scaling() const {
  return {model.parametrization, static_cast<int64_t>(model.layers.size()), optimizer.base_depth,
          static_cast<double>(batch_tokens), optimizer.base_batch_tokens};
}

Recipe Recipe::from_json(const nlohmann::json& json, const fs::path& folder,
                         const std::string& where) {
  JsonFields fields(json, where);
  Recipe recipe;
  recipe.source = json;
  recipe.model = read_model(fields.raw("model"), folder, where + ": model");
  recipe.tokenizer = beside(folder, fields.required<std::string>("tokenizer"));
  recipe.data = read_data(fields.raw("data"), folder, where + ": data");
  recipe.batch_tokens = fields.integer("batch_tokens", 1, many);
  const int64_t micro_batch = recipe.data.rows * recipe.data.row_length;
  if (recipe.batch_tokens % micro_batch != 0) {
    fail(where, "batch_tokens: {} is not a multiple of rows * row_length = {}", recipe.batch_tokens,
         micro_batch);
  }
  recipe.steps = read_steps(fields, recipe.batch_tokens);
  recipe.optimizer = read_optimizer(fields.raw("optimizer"), where + ": optimizer");
  recipe.schedule = read_schedule(fields.raw("schedule"), recipe, where + ": schedule");
  recipe.label_smoothing = static_cast<float>(number(fields, "label_smoothing", 0, 0.999));
  recipe.precision = read_precision(fields.required<std::string>("precision"), where);
  recipe.recompute_layers = fields.required<bool>("recompute_layers");
  recipe.seed = static_cast<uint64_t>(fields.integer("seed", 0, INT64_MAX));
  recipe.checkpoint_every = fields.integer("checkpoint_every", 0, many);
  recipe.validate_every = fields.integer("validate_every", 0, many);
  recipe.keep = fields.integer("keep", 1, 1 << 20);
  fields.no_others();
  return recipe;
}

Recipe Recipe::load(const fs::path& file) {
  return from_json(parse_json(read_text(file), file.string()), file.parent_path(), file.string());
}

}  // namespace sambay
