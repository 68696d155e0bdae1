#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "data/reasoning/dataset.h"

namespace sambay::cli {
namespace {

struct ReasoningOptions {
  std::filesystem::path out;
  int64_t train = 0, valid = 0;
  uint64_t seed = 0;
  int32_t vocab = 512;
};

// So many problems show the tokenizer every word and layout there is.
constexpr int64_t tokenizer_problems = 5000, examples = 20;

DatasetStatistics write_problems(const ReasoningOptions& options, const Tokenizer& tokenizer,
                                 const std::string& fingerprint_of_tokenizer, bool train,
                                 bool quiet) {
  const int64_t count = train ? options.train : options.valid;
  const char* stem = train ? "train" : "valid";
  Progress progress(stem, count, {.unit = "problems", .quiet = quiet});
  ShardWriter writer;
  const auto statistics =
      add_problems(writer, ChatFormat(tokenizer), train ? ProblemSplit::train : ProblemSplit::test,
                   options.seed, count, [&](int64_t done) { progress.update(done); });
  progress.finish();
  writer.write(options.out / fmt::format("{}.safetensors", stem), fingerprint_of_tokenizer);
  return statistics;
}

void write_examples(const ReasoningOptions& options) {
  write_atomically(options.out / "examples.jsonl", [&](FileWriter& file) {
    for (int64_t i = 0; i < std::min(examples, options.train); ++i) {
      const Problem p = dataset_problem(ProblemSplit::train, options.seed, i);
      const nlohmann::json line = {{"kind", name(p.kind)},
                                   {"level", p.level},
                                   {"question", p.question},
                                   {"chain", p.chain},
                                   {"answer", p.answer}};
      file.write(line.dump() + "\n");
    }
  });
}

nlohmann::json to_json(const DatasetStatistics& s) {
  return {{"documents", s.documents},
          {"tokens", s.tokens},
          {"mean_tokens", s.mean_tokens()},
          {"mean_answer_tokens", s.mean_answer()},
          {"longest", s.longest}};
}

void make_reasoning(const ReasoningOptions& options, const Common& common) {
  std::filesystem::create_directories(options.out);
  const TokenizerSpec spec =
      train_reasoning_tokenizer(options.vocab, tokenizer_problems, options.seed);
  write_atomically(options.out / "tokenizer.json", to_tokenizer_json(spec));
  const std::string made_by = fingerprint(spec);
  const Tokenizer tokenizer(spec);
  write_examples(options);
  nlohmann::json report = {{"out", options.out}, {"vocab_size", tokenizer.vocab_size()}};
  for (const bool train : {true, false}) {
    const auto s = write_problems(options, tokenizer, made_by, train, common.json);
    const char* stem = train ? "train" : "valid";
    report[stem] = to_json(s);
    if (!common.json) {
      fmt::print(
          "{}: {} problems, {} tokens, {:.1f} a problem, {:.1f} of them the answer's, longest {}\n",
          stem, s.documents, s.tokens, s.mean_tokens(), s.mean_answer(), s.longest);
    }
  }
  if (common.json) {
    fmt::print("{}\n", report.dump());
  } else {
    fmt::print("vocabulary: {} tokens\n", tokenizer.vocab_size());
  }
}

void add_reasoning(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<ReasoningOptions>();
  command.add_option("--out", options->out, "Folder for tokenizer and shards")->required();
  command.add_option("--train", options->train, "Problems to train on")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 28));
  command.add_option("--valid", options->valid, "Problems to validate on, of other numbers")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 28));
  command.add_option("--seed", options->seed, "Which problems")->capture_default_str();
  command.add_option("--vocab", options->vocab, "Tokens of the vocabulary at most")
      ->capture_default_str();
  command.footer("Example: sambay data reasoning --out data/reasoning --train 200000 --valid 1000");
  command.callback([options, &common] { make_reasoning(*options, common); });
}

}  // namespace

void add_data(CLI::App& command, const Common& common) {
  command.require_subcommand(1);
  add_reasoning(*command.add_subcommand("reasoning", "Arithmetic problems with worked solutions")
                     ->fallthrough(),
                common);
}

}  // namespace sambay::cli
