#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/files.h"
#include "base/progress.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/perplexity.h"
#include "eval/reasoning.h"

namespace sambay::cli {
namespace {

LoadedModel load(const std::string& named, const std::string& dtype, int kv_bits,
                 const Common& common) {
  const auto folder = model_folder(named, common);
  return LoadedModel::load(folder, model_precision(dtype, kv_bits, folder));
}

struct ReasoningOptions {
  std::string model, dtype, level = "trained", out;
  int kv_bits = 0;
  ReasoningEvalOptions eval;
};

void print_row(const std::string& label, const nlohmann::json& row) {
  fmt::print("{:24} {:>8} {:>8} {:7.2f} % [{:6.2f}, {:6.2f}] {:>10.1f} {:>9} {:>7}\n", label,
             row["problems"].get<int64_t>(), row["correct"].get<int64_t>(),
             100 * row["pass_at_1"].get<double>(), 100 * row["interval_95"][0].get<double>(),
             100 * row["interval_95"][1].get<double>(), row["mean_response_tokens"].get<double>(),
             row["steps"].get<int64_t>(), row["wrong_steps"].get<int64_t>());
}

void print_report(const ReasoningReport& report) {
  fmt::print("{:24} {:>8} {:>8} {:>9} {:>16} {:>10} {:>9} {:>7}\n", "", "problems", "correct",
             "Pass@1", "95 %", "tokens", "steps", "wrong");
  print_row("all", to_json(report.all));
  for (const auto& [kind, part] : report.by_kind) {
    print_row(kind, to_json(part));
  }
  for (const auto& [level, part] : report.by_level) {
    print_row(fmt::format("level {}", level), to_json(part));
  }
  for (const auto& [below, part] : report.by_length) {
    print_row(fmt::format("solution under {} tokens", below), to_json(part));
  }
}

void run_reasoning(const ReasoningOptions& options, const Common& common) {
  ReasoningEvalOptions eval = options.eval;
  eval.level = options.level == "trained" ? 0 : std::stoi(options.level);
  const LoadedModel model = load(options.model, options.dtype, options.kv_bits, common);
  install_stop_handler();
  Progress progress("reasoning", eval.problems, {.unit = "problems", .quiet = common.json});
  const auto answers = answer_problems(model, eval, [&](int64_t done, int64_t correct) {
    progress.update(done, fmt::format("{:.1f} % correct", 100.0 * static_cast<double>(correct) /
                                                              static_cast<double>(done)));
    return !stop_requested();
  });
  progress.finish();
  if (!options.out.empty()) {
    write_atomically(options.out, [&](FileWriter& file) {
      for (const ReasoningAnswer& answer : answers) {
        file.write(to_json(answer).dump() + "\n");
      }
    });
  }
  const ReasoningReport report = tally(answers);
  if (common.json) {
    fmt::print("{}\n", to_json(report).dump());
  } else {
    print_report(report);
  }
}

void add_reasoning(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<ReasoningOptions>();
  auto& eval = options->eval;
  command.add_option("--model", options->model, "Model folder, or a name on the Hub")->required();
  command.add_option("--problems", eval.problems, "Fresh problems of the test split")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 28))
      ->capture_default_str();
  command.add_option("--level", options->level, "1 to 4, or the mixture that was trained on")
      ->check(CLI::IsMember({"trained", "1", "2", "3", "4"}))
      ->capture_default_str();
  command.add_option("--problem-seed", eval.seed, "Which problems")->capture_default_str();
  command.add_option("--batch", eval.batch.sequences, "Problems in flight at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command.add_option("--max-tokens", eval.max_tokens, "Tokens of an answer at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_sampling_options(command, eval.sampling);
  add_dtype_option(command, options->dtype);
  add_kv_bits_option(command, options->kv_bits);
  command.add_option("--out", options->out, "Each problem with its answer, as JSON lines");
  command.footer("Example: sambay eval reasoning --model models/tiny-reasoner --problems 1000");
  command.callback([options, &common] { run_reasoning(*options, common); });
}

struct PerplexityFlags {
  std::string model, dtype, data, reference;
  int kv_bits = 0;
  PerplexityOptions eval;
};

nlohmann::json to_json(const Perplexity& p, bool compared) {
  nlohmann::json json = {{"documents", p.documents},
                         {"tokens", p.tokens},
                         {"bytes", p.bytes},
                         {"nll_per_token", p.nll_per_token()},
                         {"nll_per_byte", p.nll_per_byte()},
                         {"perplexity", p.perplexity()}};
  if (compared) {
    const auto tokens = static_cast<double>(p.tokens);
    json["reference"] = {{"perplexity", std::exp(p.divergence.nll / tokens)},
                         {"relative_difference", std::expm1((p.nll - p.divergence.nll) / tokens)},
                         {"kl_per_token", p.divergence.kl / tokens},
                         {"largest_kl", p.divergence.largest_kl},
                         {"same_best_token", static_cast<double>(p.divergence.same_best) / tokens}};
  }
  return json;
}

void run_perplexity(const PerplexityFlags& options, const Common& common) {
  // Both in the precision of the model: what is compared is their weights, and what it costs to
  // keep keys and values in 8 bits.
  const auto folder = model_folder(options.model, common);
  const Precision precision = model_precision(options.dtype, options.kv_bits, folder);
  const LoadedModel model = LoadedModel::load(folder, precision);
  std::optional<LoadedModel> reference;
  PerplexityOptions eval = options.eval;
  if (!options.reference.empty()) {
    reference.emplace(LoadedModel::load(model_folder(options.reference, common),
                                        {precision.compute, precision.accum}));
    eval.reference = &*reference;
  }
  const auto documents = read_eval_documents(model, options.data);
  int64_t total = 0;
  for (const EvalDocument& document : documents) {
    total += std::ssize(document.ids);
  }
  install_stop_handler();
  Progress progress("perplexity", total, {.unit = "tokens", .quiet = common.json});
  const Perplexity p = perplexity(model, documents, eval, [&](int64_t tokens) {
    progress.update(tokens);
    return !stop_requested();
  });
  progress.finish();
  const nlohmann::json report = to_json(p, reference.has_value());
  if (common.json) {
    fmt::print("{}\n", report.dump());
    return;
  }
  fmt::print("{} tokens of {} documents: nll {:.5f} a token, {:.5f} a byte, perplexity {:.4f}\n",
             p.tokens, p.documents, p.nll_per_token(), p.nll_per_byte(), p.perplexity());
  if (reference) {
    const auto number = [&](const char* field) { return report["reference"][field].get<double>(); };
    fmt::print(
        "reference: perplexity {:.4f}, which the model's exceeds by {:.3f} %; KL divergence {:.6f} "
        "a token, {:.4f} at most; same best token {:.2f} %\n",
        number("perplexity"), 100 * number("relative_difference"), number("kl_per_token"),
        number("largest_kl"), 100 * number("same_best_token"));
  }
}

void add_perplexity(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<PerplexityFlags>();
  command.add_option("--model", options->model, "Model folder, or a name on the Hub")->required();
  command.add_option("--data", options->data, ".txt, .jsonl (also .gz, .zst) or a shard")
      ->required();
  command
      .add_option("--length", options->eval.length, "Cut documents into pieces of so many tokens")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 30));
  command
      .add_option("--chunk", options->eval.chunk,
                  "Tokens that are fed at once; few of them run as generation does")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--reference", options->reference,
                     "Model to compare the predictions with: divergence of probabilities");
  add_dtype_option(command, options->dtype);
  add_kv_bits_option(command, options->kv_bits);
  command.footer("Example: sambay eval perplexity --model models/tiny-reasoner --data book.txt.gz");
  command.callback([options, &common] { run_perplexity(*options, common); });
}

}  // namespace

void add_eval(CLI::App& command, const Common& common) {
  command.require_subcommand(1);
  add_reasoning(*command.add_subcommand("reasoning", "Problems solved, by kind, level and length")
                     ->fallthrough(),
                common);
  add_perplexity(*command.add_subcommand("perplexity", "How well text is predicted")->fallthrough(),
                 common);
  command.footer("Example: sambay eval reasoning --model models/tiny-reasoner");
}

}  // namespace sambay::cli
