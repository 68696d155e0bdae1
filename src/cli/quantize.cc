#include "model/quantize.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "model/decoder.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model, out;
  int bits = 4;
};

nlohmann::json to_json(const QuantizeReport& report) {
  auto tensors = nlohmann::json::array();
  for (const QuantizedTensor& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"rows", tensor.shape[0]},
                       {"columns", tensor.shape[1]},
                       {"bits", tensor.bits},
                       {"relative_error", tensor.error.relative()}});
  }
  return {{"name", report.name},
          {"parameters", report.parameters},
          {"tensors", tensors},
          {"relative_error", report.error.relative()},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after}};
}

void print_report(const QuantizeReport& report, const std::string& out) {
  for (const QuantizedTensor& tensor : report.tensors) {
    fmt::print("{:48} {:>16} {} bits, relative error {:.5f}\n", tensor.name, tensor.shape.text(),
               tensor.bits, tensor.error.relative());
  }
  fmt::print("{}: {} with {} parameters, {} in place of {}, relative error {:.5f}\n", out,
             report.name, report.parameters, short_bytes(static_cast<double>(report.bytes_after)),
             short_bytes(static_cast<double>(report.bytes_before)), report.error.relative());
}

void run(const Options& options, const Common& common) {
  const auto folder = model_folder(options.model, common);
  const auto config = ModelConfig::load(folder / "config.json");
  Progress progress("quantizing", Decoder(config).params().elements(),
                    {.unit = "weights", .quiet = common.json});
  const auto report = quantize_model(folder, options.out, options.bits,
                                     [&](int64_t weights) { progress.update(weights); });
  progress.finish();
  if (common.json) {
    auto json = to_json(report);
    json["out"] = options.out;
    fmt::print("{}\n", json.dump());
  } else {
    print_report(report, options.out);
  }
}

}  // namespace

void add_quantize(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("model", options->model, "Model folder, or a name on the Hub")->required();
  command.add_option("--bits", options->bits, "Of a weight; with 4, embeddings and head have 8")
      ->check(CLI::IsMember({4, 8}))
      ->capture_default_str();
  command.add_option("--out", options->out, "Folder to make, in our layout")->required();
  command.footer("Example: sambay quantize models/tiny-reasoner --bits 8 --out tiny-8bit");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
