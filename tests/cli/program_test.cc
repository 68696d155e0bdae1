// Runs the program as its users do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace sambay {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int exit_code;
  std::string out, err;
};

class Program : public ::testing::Test {
 protected:
  // `arguments` as a shell reads them; {} is the test's folder.
  Outcome run(std::string arguments) {
    for (size_t at; (at = arguments.find("{}")) != std::string::npos;) {
      arguments.replace(at, 2, folder_.path().string());
    }
    const std::string input = arguments.find('<') == std::string::npos ? " </dev/null" : "";
    const auto out = folder_ / "stdout", err = folder_ / "stderr";
    const int status = std::system(fmt::format("{} {}{} >{} 2>{}", SAMBAY_PROGRAM, arguments, input,
                                               out.string(), err.string())
                                       .c_str());
    return {WEXITSTATUS(status), read_text(out), read_text(err)};
  }
  void expect_fault(const std::string& arguments, int exit_code, const std::string& message) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_THAT(outcome.err, HasSubstr(message)) << arguments;
    EXPECT_THAT(outcome.err, EndsWith("\n"));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  nlohmann::json json(const std::string& arguments) {
    const Outcome outcome = run(arguments + " --json");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return nlohmann::json::parse(outcome.out, nullptr, false);
  }
  void write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  void make_model() { testing::save_tiny_model(folder_ / "model"); }

  testing::TempDir folder_;
};

TEST_F(Program, EveryCommandHasHelpWithAnExample) {
  for (const char* command : {"data reasoning",
                              "data pack",
                              "data tokenizer",
                              "eval reasoning",
                              "eval perplexity",
                              "run",
                              "convert",
                              "quantize",
                              "tokenize",
                              "inspect",
                              "init",
                              "logits",
                              "gradients",
                              "train",
                              "plot",
                              "pull",
                              "bench ceilings",
                              "bench decode",
                              "bench positions",
                              "bench prefill",
                              "bench long",
                              "bench survey",
                              "bench train",
                              "bench throughput"}) {
    const Outcome help = run(std::string(command) + " --help");
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.out, HasSubstr(fmt::format("Example: sambay {} ", command)));
  }
}

TEST_F(Program, WrongUsageIsOneLineAndExitCodeTwo) {
  expect_fault("", 2, "command is required");
  expect_fault("nonsense", 2, "nonsense");
  expect_fault("run --nonsense", 2, "--nonsense");
  expect_fault("eval", 2, "subcommand is required");
  expect_fault("eval reasoning --model m --level 9", 2, "--level");
  expect_fault("data reasoning --out {}/x --train many --valid 1", 2, "--train");
  expect_fault("tokenize hello", 2, "--tokenizer");
}

TEST_F(Program, FaultsAreOneLineAndExitCodeOne) {
  make_model();
  write("bad.txt", "a\xff");
  write("empty.txt", "");
  write("broken.json", "{");
  expect_fault("run {}/nothing --prompt x", 1, "nothing");
  expect_fault("run {}/model --prompt x --top-p 2", 1, "top_p");
  expect_fault("run {}/model --prompt $(printf '\\377')", 1, "not UTF-8");
  expect_fault("run {}/model <{}/bad.txt", 1, "not UTF-8");
  expect_fault("run {}/model", 1, "empty");
  expect_fault("run {}/model --prompt x --load {}/bad.txt", 1, "bad.txt");
  expect_fault("run {}/model --prompt x --load {}/none", 1, "none");
  expect_fault("tokenize --tokenizer {}/broken.json x", 1, "broken.json");
  expect_fault("tokenize --model {}/model --decode '1 x'", 1, "\"x\"");
  expect_fault("eval perplexity --model {}/model --data {}/empty.txt", 1, "no text");
  expect_fault("eval perplexity --model {}/model --data {}/none.txt", 1, "none.txt");
  expect_fault("data pack --json --tokenizer {}/model --out {}/s.safetensors {}/bad.txt", 1,
               "bad.txt:1");
  expect_fault("data tokenizer --vocab 10 --out {}/t.json {}/bad.txt", 1, "vocab_size");
  write("model/chat.json", R"({"about": "x", "examples": [], "multi_turn": 1})");
  expect_fault("run {}/model --prompt x", 1, "multi_turn");
}

TEST_F(Program, DataReasoningMakesWhatTrainingReads) {
  const auto report =
      json("data reasoning --out {}/data --train 30 --valid 5 --seed 2 --vocab 320");
  EXPECT_EQ(report["train"]["documents"], 30);
  const Shard train = Shard::open(folder_ / "data/train.safetensors");
  EXPECT_EQ(train.documents(), 30);
  EXPECT_EQ(Shard::open(folder_ / "data/valid.safetensors").documents(), 5);
  const Tokenizer tokenizer = Tokenizer::load(folder_ / "data");
  const auto expected =
      encode(dataset_problem(ProblemSplit::train, 2, 4), ChatFormat(tokenizer)).ids;
  const auto document = train.document(4);
  EXPECT_EQ(std::vector<int32_t>(document.begin(), document.end()), expected);
  const std::string examples = read_text(folder_ / "data/examples.jsonl");
  EXPECT_EQ(std::count(examples.begin(), examples.end(), '\n'), 20);
}

TEST_F(Program, TextBecomesATokenizerAShardAndAPerplexity) {
  make_model();
  write("a.txt", "one two one two\n\nthree one two\n");
  write("b.jsonl", "{\"text\": \"four\"}\n");
  EXPECT_EQ(json("data tokenizer --vocab 270 --out {}/t.json {}/a.txt")["vocab_size"], 266);
  EXPECT_EQ(json("data pack --tokenizer {}/model --blank-lines --out {}/s.safetensors {}/a.txt "
                 "{}/b.jsonl")["documents"],
            3);
  const auto text = json("eval perplexity --model {}/model --data {}/a.txt");
  EXPECT_GT(text["nll_per_byte"].get<double>(), 0);
  EXPECT_EQ(json("eval perplexity --model {}/model --data {}/s.safetensors")["documents"], 3);
}

TEST_F(Program, TokenizeGoesBothWays) {
  make_model();
  const Outcome ids = run("tokenize --model {}/model '12 é <|end|>'");
  EXPECT_EQ(ids.exit_code, 0);
  write("ids", ids.out);
  EXPECT_EQ(run("tokenize --model {}/model --decode <{}/ids").out, "12 é <|end|>\n");
  EXPECT_EQ(json("tokenize --model {}/model --marks '<|end|>'")["ids"].size(), 1U);
}

TEST_F(Program, RunAnswersAPromptOrStandardInput) {
  make_model();
  write("question", "What is 2 times 3?\n");
  const auto answer =
      json("run {}/model --max-tokens 6 --log-probs 2 --prompt 'What is 2 times 3?'");
  EXPECT_GT(answer["sampled_tokens"], 0);
  EXPECT_EQ(answer["log_probs"].size(), answer["sampled_tokens"]);
  EXPECT_EQ(answer["log_probs"][0]["top"].size(), 2U);
  const Outcome piped = run("run {}/model --max-tokens 6 <{}/question");
  EXPECT_EQ(piped.out, answer["text"].get<std::string>() + "\n");
  const std::string sampled = "run {}/model --max-tokens 9 --temperature 9 --prompt x --seed ";
  EXPECT_EQ(json(sampled + "1")["ids"], json(sampled + "1")["ids"]);
  EXPECT_THAT(json(sampled + "2")["ids"], Not(json(sampled + "1")["ids"]));
}

TEST_F(Program, RunsAModelInThePrecisionItIsStoredIn) {
  make_model();
  json("convert --model {}/model --to sambay --out {}/half --dtype bf16");
  const auto log_probs = [&](const std::string& options) {
    return json("run --prompt 'What is 2 times 3?' --max-tokens 4 --log-probs 1 " +
                options)["log_probs"];
  };
  const auto whole = log_probs("{}/model"), half = log_probs("{}/half");
  EXPECT_EQ(whole, log_probs("{}/model --dtype f32"));
  EXPECT_NE(whole, log_probs("{}/model --dtype bf16"));
  EXPECT_EQ(half, log_probs("{}/half --dtype bf16"));
  EXPECT_NE(half, log_probs("{}/half --dtype f32"));
  EXPECT_NE(whole, log_probs("{}/model --kv-bits 8"));
  const auto dtype = [&](const std::string& arguments) { return json(arguments)["dtype"]; };
  EXPECT_EQ(dtype("inspect --model {}/model"), "f32");
  EXPECT_EQ(dtype("inspect --model {}/half"), "bf16");
  EXPECT_EQ(dtype("inspect --model {}/half --dtype f32"), "f32");
  EXPECT_EQ(dtype("inspect --preset sambay --depth 8"), "bf16");
  const auto state = [&](const std::string& options) {
    return json("inspect --preset sambayda --depth 8 --lengths 65536 " +
                options)["generation"][0]["state_bytes"]
        .get<double>();
  };
  EXPECT_NEAR(state("--kv-bits 8") / state(""), 0.53, 0.02);  // windows and scans stay
}

TEST_F(Program, ConvertsToHuggingFaceAndBackAndOpensBoth) {
  make_model();
  ASSERT_EQ(
      run("init --preset phi4miniflash --depth 8 --width 32 --heads 8 --kv-heads 4 --head-dim 4 "
          "--mlp-width 48 --window 8 --vocab-size 300 --out {}/own")
          .exit_code,
      0);
  std::filesystem::copy_file(folder_ / "model/tokenizer.json", folder_ / "own/tokenizer.json");
  const auto made = json("convert --model {}/own --to hf --out {}/hf --shard-bytes 20000");
  EXPECT_GT(made["weight_files"], 1);
  EXPECT_TRUE(made["left_out"].empty());
  json("convert --model {}/hf --to sambay --out {}/back --dtype bf16");
  auto own = json("inspect --model {}/own --lengths 64"),
       hf = json("inspect --model {}/hf --lengths 64");
  EXPECT_EQ(hf, own);
  const std::string question = " --max-tokens 6 --prompt 'What is 2 times 3?'";
  const auto answer = json("run {}/own" + question);
  EXPECT_EQ(json("run {}/hf" + question)["ids"], answer["ids"]);
  EXPECT_EQ(json("run {}/back" + question)["ids"].size(), answer["ids"].size());
  const std::string eval = "eval reasoning --problems 2 --level 1 --max-tokens 3 --model ";
  EXPECT_EQ(json(eval + "{}/hf")["problems"], 2);
  expect_fault("convert --model {}/model --to hf --out {}/none", 1, "layers[1].mixer.kind");
  expect_fault("convert --model {}/own --to onnx --out {}/none", 2, "--to");
  expect_fault("convert --model {}/own --to hf --out {}/none --dtype f8", 2, "--dtype");
  expect_fault("convert --model {}/own --to hf --out {}/hf", 1, "exists already");
}

TEST_F(Program, QuantizesAndOpensWhatItMade) {
  make_model();
  ASSERT_EQ(run("init --preset sambay --depth 4 --width 64 --heads 4 --kv-heads 4 --head-dim 16 "
                "--mlp-width 96 --window 8 --vocab-size 300 --parametrization sp --out {}/own")
                .exit_code,
            0);
  std::filesystem::copy_file(folder_ / "model/tokenizer.json", folder_ / "own/tokenizer.json");
  const auto made = json("quantize {}/own --bits 4 --out {}/q4");
  EXPECT_LT(made["relative_error"], 0.12);
  EXPECT_LT(made["bytes_after"].get<double>(), made["bytes_before"].get<double>() / 2);
  EXPECT_EQ(made["tensors"][0]["bits"], 8);
  EXPECT_EQ(made["tensors"][1]["bits"], 4);
  const Outcome text = run("quantize {}/own --bits 8 --out {}/q8");
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("transformer.wte.weight"));

  const auto inspected = json("inspect --model {}/q4 --lengths 16");
  EXPECT_EQ(inspected["quantization"], "int4");
  EXPECT_LT(inspected["generation"][0]["weight_bytes"], made["bytes_before"]);
  EXPECT_GT(json("run {}/q4 --max-tokens 6 --prompt x")["sampled_tokens"], 0);
  write("a.txt", "one two one two three one two");
  const auto compared = json("eval perplexity --model {}/q8 --reference {}/own --data {}/a.txt");
  EXPECT_GT(compared["reference"]["kl_per_token"], 0);
  EXPECT_LT(compared["reference"]["kl_per_token"], 1e-3);

  expect_fault("quantize {}/own --bits 8 --out {}/q8", 1, "exists already");
  expect_fault("quantize {}/q4 --bits 8 --out {}/none", 1, "quantization: expected none, got int4");
  expect_fault("quantize {}/own --bits 5 --out {}/none", 2, "--bits");
  expect_fault("convert --model {}/q8 --to hf --out {}/none", 1, "quantization");
}

TEST_F(Program, RunTakesTheModelsTemplateAndDefaults) {
  make_model();
  write("model/chat_template.jinja",
        "<|user|>{{ messages[-1].content }}<|end|><|assistant|><think>");
  write(
      "model/generation_config.json",
      R"({"do_sample": true, "temperature": 5.0, "max_new_tokens": 6, "transformers_version": "4"})");
  const auto answer = json("run {}/model --prompt 'What is 2 times 3?'");
  EXPECT_LE(answer["sampled_tokens"], 6);
  EXPECT_EQ(answer["answer"], "");
  EXPECT_EQ(answer["thinking"], answer["text"]);
  EXPECT_THAT(json("run {}/model --prompt x --max-tokens 9 --seed 1")["ids"],
              Not(json("run {}/model --prompt x --max-tokens 9 --seed 2")["ids"]));
  const std::string greedy = "run {}/model --prompt x --temperature 0 --seed ";
  EXPECT_EQ(json(greedy + "1")["ids"], json(greedy + "2")["ids"]);
  EXPECT_EQ(run("run {}/model --prompt x --thinking hide").out, "\n");
  const Outcome dimmed = run("run {}/model --prompt x --thinking dim --temperature 0");
  EXPECT_THAT(dimmed.out, StartsWith("\x1b[2m"));
  EXPECT_THAT(dimmed.out, EndsWith("\x1b[0m\n"));
  EXPECT_THAT(json("run {}/model --prompt x --max-tokens 9 --max-thinking-tokens 2")["thinking"]
                  .get<std::string>(),
              HasSubstr("</think>"));
  write("model/generation_config.json", R"({"num_beams": 4})");
  expect_fault("run {}/model --prompt x", 1, "num_beams: 4 is not supported");
  EXPECT_EQ(run("run {}/model --prompt x --max-tokens 2 --no-generation-config").exit_code, 0);
  write("model/chat_template.jinja", "\n{% include 'x' %}");
  expect_fault("run {}/model --prompt x --no-generation-config", 1,
               "chat_template.jinja: line 2] {% include %}");
}

TEST_F(Program, EvalReasoningReportsAndWritesEachAnswer) {
  make_model();
  const auto report = json(
      "eval reasoning --model {}/model --problems 6 --level 1 --max-tokens 5 --batch 2 "
      "--out {}/answers.jsonl");
  EXPECT_EQ(report["problems"], 6);
  EXPECT_EQ(report["by_level"]["1"]["problems"], 6);
  const std::string answers = read_text(folder_ / "answers.jsonl");
  EXPECT_EQ(std::count(answers.begin(), answers.end(), '\n'), 6);
}

TEST_F(Program, BenchStatesTheMachineTheModelAndEachStep) {
  make_model();
  const auto report = json(
      "bench decode --model {}/model --positions 3 5 --batch 2 --seconds 0.001 --out "
      "{}/bench.json");
  EXPECT_GT(report["machine"]["read_bytes_per_second"], 0);
  EXPECT_GT(report["model"]["parameters"], 0);
  ASSERT_EQ(report["steps"].size(), 2U);
  EXPECT_EQ(report["steps"][1]["position"], 5);
  EXPECT_EQ(report["steps"][1]["batch"], 2);
  EXPECT_GT(report["steps"][1]["share_of_read_bandwidth"], 0);
  EXPECT_EQ(nlohmann::json::parse(read_text(folder_ / "bench.json")), report);
}

TEST_F(Program, BenchLongComparesEachWindowWithTheFirst) {
  make_model();
  const std::string command = "bench long --model {}/model --tokens 30 --windows 3 --seconds 0";
  const auto report = json(command);
  ASSERT_EQ(report["windows"].size(), 3U);
  EXPECT_EQ(report["windows"][2]["end"], 30);
  EXPECT_GT(report["windows"][2]["bytes_per_token"], report["windows"][0]["bytes_per_token"]);
  EXPECT_THAT(run(command).out, HasSubstr("20 -     30"));
}

TEST_F(Program, BenchSurveyPutsEveryFigureBesideItsCeiling) {
  make_model();
  const std::string survey =
      "bench survey --model {}/model --prompts 20 --positions 0,9 --batches 2 --chunk 16 "
      "--seconds 0";
  const auto report = json(survey);
  EXPECT_EQ(report["model"]["dtype"], "f32");
  EXPECT_FALSE(report["load"]["random_weights"]);
  EXPECT_GT(report["load"]["open_seconds"], 0);
  ASSERT_EQ(report["prompts"].size(), 1U);
  EXPECT_EQ(report["prompts"][0]["tokens"], 20);
  EXPECT_GT(report["prompts"][0]["memory"]["predicted_process_bytes"], 0);
  ASSERT_EQ(report["steps"].size(), 2U);
  EXPECT_EQ(report["steps"][1]["batch"], 2);
  EXPECT_EQ(report["steps"][1]["position"], 9);
  EXPECT_GT(report["steps"][1]["bound"]["share"], 0);
  const Outcome table = run(survey + " --only prompts");
  EXPECT_THAT(table.out, HasSubstr("prompt of 20 "));
  EXPECT_THAT(table.out, Not(HasSubstr("batch")));
  EXPECT_THAT(table.err, StartsWith("at this machine's ceilings this takes "));
  EXPECT_THAT(run(survey + " --only decoding --kv-bits 8").out,
              HasSubstr("f32, keys and values in 8 bits"));
}

}  // namespace
}  // namespace sambay
