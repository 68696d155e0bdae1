#include "model/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "model/layouts.h"

namespace sambay::cli {
namespace {

struct Options {
  std::string model, out, dtype;
  ConvertOptions convert;
};

void run(Options options, const Common& common) {
  if (!options.dtype.empty()) {
    options.convert.matrix_dtype = options.dtype == "bf16"  ? DType::bf16
                                   : options.dtype == "f16" ? DType::f16
                                                            : DType::f32;
  }
  const auto report =
      convert_model(model_folder(options.model, common), options.out, options.convert);
  if (common.json) {
    fmt::print("{}\n", nlohmann::json{{"out", options.out},
                                      {"name", report.name},
                                      {"parameters", report.parameters},
                                      {"weight_files", report.weight_files},
                                      {"weight_bytes", report.weight_bytes},
                                      {"left_out", report.left_out}}
                           .dump());
    return;
  }
  fmt::print("{}: {} with {} parameters, {} in {} file{}\n", options.out, report.name,
             report.parameters, short_bytes(static_cast<double>(report.weight_bytes)),
             report.weight_files, report.weight_files == 1 ? "" : "s");
  if (!report.left_out.empty()) {
    fmt::print("left out, because they have no effect: the keys' part of {}\n",
               fmt::join(report.left_out, ", "));
  }
}

}  // namespace

void add_convert(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<Options>();
  command.add_option("--model", options->model, "Model folder, in any layout")->required();
  command
      .add_option("--to", options->convert.layout,
                  "Layout to write: ours, or Hugging Face's of model type phi4flash")
      ->required()
      ->check(CLI::IsMember(layout_names()));
  command.add_option("--out", options->out, "Folder to make")->required();
  command.add_option("--dtype", options->dtype, "Dtype of the matrices; else as they are stored")
      ->check(CLI::IsMember({"bf16", "f16", "f32"}));
  command
      .add_option("--shard-bytes", options->convert.shard_bytes,
                  "Bytes of a weight file at most; else one file")
      ->check(CLI::PositiveNumber);
  command.footer("Example: sambay convert --model model --to hf --out model-hf --dtype bf16");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace sambay::cli
