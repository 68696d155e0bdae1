#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "data/documents.h"
#include "data/reasoning/dataset.h"
#include "text/bpe_trainer.h"

namespace sambay::cli {
namespace {

std::string tokenizer_fingerprint(const std::filesystem::path& path) {
  return fingerprint(
      read_tokenizer_json(std::filesystem::is_directory(path) ? path / "tokenizer.json" : path));
}

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

struct PackOptions {
  std::string tokenizer, out, end = std::string(end_of_text_mark);
  bool blank_lines = false;
  std::vector<std::string> files;

  DocumentBorder border() const {
    return blank_lines ? DocumentBorder::blank_line : DocumentBorder::file;
  }
};

void pack(const PackOptions& options, const Common& common) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  const auto end = tokenizer.id_of(options.end);
  if (!end) {
    fail(options.tokenizer, "no token {} to close documents with", options.end);
  }
  Progress progress("packing", std::ssize(options.files), {.unit = "files", .quiet = common.json});
  ShardWriter writer;
  int64_t bytes = 0;
  for (size_t i = 0; i < options.files.size(); ++i) {
    bytes += pack_documents(options.files[i], options.border(), tokenizer, *end, writer);
    progress.update(static_cast<int64_t>(i) + 1);
  }
  progress.finish();
  writer.write(options.out, tokenizer_fingerprint(options.tokenizer));
  if (common.json) {
    fmt::print("{}\n", nlohmann::json{{"out", options.out},
                                      {"documents", writer.documents()},
                                      {"tokens", writer.tokens()},
                                      {"bytes", bytes}}
                           .dump());
  } else {
    fmt::print("{}: {} documents, {} tokens, {:.3f} bytes a token\n", options.out,
               writer.documents(), writer.tokens(),
               static_cast<double>(bytes) / static_cast<double>(writer.tokens()));
  }
}

// What documents are made of, and where the result goes.
void add_file_options(CLI::App& command, PackOptions& options) {
  command.add_option("--out", options.out, "File to write")->required();
  command.add_flag("--blank-lines", options.blank_lines,
                   "Blank lines part the documents of a .txt; else a file is one");
  command.add_option("files", options.files, ".txt or .jsonl, perhaps with .gz or .zst")
      ->required();
}

void add_pack(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<PackOptions>();
  command.add_option("--tokenizer", options->tokenizer, "tokenizer.json or a model folder")
      ->required();
  command.add_option("--end", options->end, "Token that closes a document")->capture_default_str();
  add_file_options(command, *options);
  command.footer(
      "Example: sambay data pack --tokenizer tokenizer.json --out train.safetensors *.jsonl.zst");
  command.callback([options, &common] { pack(*options, common); });
}

struct TokenizerOptions {
  PackOptions input;
  int32_t vocab = 8192;
  std::string split = "words";
};

void train_tokenizer(const TokenizerOptions& options, const Common& common) {
  const std::map<std::string, const char*> patterns = {{"words", word_split_pattern},
                                                       {"digits", digit_split_pattern},
                                                       {"arithmetic", arithmetic_split_pattern}};
  BpeTrainer trainer({.vocab_size = options.vocab,
                      .special_tokens = chat_special_tokens(),
                      .split_pattern = patterns.at(options.split)});
  for (const std::string& file : options.input.files) {
    for_each_document(file, options.input.border(),
                      [&](std::string_view text) { trainer.add(text); });
  }
  const TokenizerSpec spec = trainer.train();
  write_atomically(options.input.out, to_tokenizer_json(spec));
  if (common.json) {
    fmt::print(
        "{}\n",
        nlohmann::json{{"out", options.input.out}, {"vocab_size", spec.vocab.size()}}.dump());
  } else {
    fmt::print("{}: {} tokens\n", options.input.out, spec.vocab.size());
  }
}

void add_tokenizer(CLI::App& command, const Common& common) {
  const auto options = std::make_shared<TokenizerOptions>();
  command.add_option("--vocab", options->vocab, "Tokens at most, bytes and marks among them")
      ->capture_default_str();
  command
      .add_option("--split", options->split,
                  "What is merged: words and groups of digits, "
                  "single digits, also single punctuation")
      ->check(CLI::IsMember({"words", "digits", "arithmetic"}))
      ->capture_default_str();
  add_file_options(command, options->input);
  command.footer("Example: sambay data tokenizer --vocab 8192 --out tokenizer.json book.txt");
  command.callback([options, &common] { train_tokenizer(*options, common); });
}

}  // namespace

void add_data(CLI::App& command, const Common& common) {
  command.require_subcommand(1);
  const auto add = [&](const char* name, const char* description, auto add_options) {
    add_options(*command.add_subcommand(name, description)->fallthrough(), common);
  };
  add("reasoning", "Arithmetic problems with worked solutions", add_reasoning);
  add("pack", "Text files as a token shard", add_pack);
  add("tokenizer", "Train a byte-level BPE tokenizer", add_tokenizer);
  command.footer("Example: sambay data reasoning --out data/reasoning --train 200000 --valid 1000");
}

}  // namespace sambay::cli
