#include "train/metrics.h"

#include <cerrno>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr const char* file_name = "metrics.jsonl";

// A line that a kill cut short is dropped with the steps that will be done again.
std::string lines_up_to(const std::string& text, int64_t step) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.value("step", INT64_MAX) <= step) {
      kept += line + "\n";
    }
  }
  return kept;
}

fs::path prepared(const fs::path& run, int64_t resumed_step) {
  fs::path path = run / file_name;
  const std::string before = fs::exists(path) ? read_text(path) : "";
  write_atomically(path, std::string_view(lines_up_to(before, resumed_step)));
  return path;
}

}  // namespace

nlohmann::json StepMetrics::to_json() const {
  nlohmann::json json = {{"step", step},
                         {"tokens", tokens},
                         {"loss", loss},
                         {"learning_rate", learning_rate},
                         {"gradient_norm", gradient_norm},
                         {"tokens_per_second", tokens_per_second},
                         {"peak_share", peak_share}};
  if (validation_loss) {
    json["validation_loss"] = *validation_loss;
  }
  return json;
}

MetricsWriter::MetricsWriter(const fs::path& run, int64_t resumed_step)
    : path_(prepared(run, resumed_step)),
      file_(std::fopen(path_.c_str(), "ab"), std::fclose),
      events_(run) {
  if (!file_) {
    fail(path_.string(), "cannot open: {}", std::generic_category().message(errno));
  }
}

void MetricsWriter::write(const StepMetrics& metrics) {
  const nlohmann::json json = metrics.to_json();
  const std::string line = json.dump() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fflush(file_.get()) != 0) {
    fail(path_.string(), "cannot write: {}", std::generic_category().message(errno));
  }
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [key, value] : json.items()) {
    if (key != "step" && value.is_number()) {
      scalars.emplace_back(key, value.get<double>());
    }
  }
  events_.write(metrics.step, scalars);
}

std::vector<std::pair<double, double>> read_curve(const fs::path& run, const std::string& metric) {
  const fs::path path = fs::is_directory(run) ? run / file_name : run;
  std::istringstream lines(read_text(path));
  std::vector<std::pair<double, double>> curve;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = fmt::format("{}:{}", path.string(), ++number);
    const nlohmann::json json = parse_json(line, where);
    JsonFields fields(json, where);
    const auto step = fields.required<double>("step");
    if (fields.has(metric) && !fields.raw(metric).is_null()) {
      curve.emplace_back(step, fields.required<double>(metric));
    }
  }
  if (curve.empty()) {
    fail(path.string(), "{}: no line has this metric", metric);
  }
  return curve;
}

}  // namespace sambay
