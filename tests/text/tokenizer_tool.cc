// Lets check_tokenizer.py reach the tokenizer and its trainer.
//   tokenizer_tool train VOCAB PATTERN < documents.jsonl > tokenizer.json
//   tokenizer_tool encode|plain tokenizer.json < documents.jsonl   a list of ids a line
//   tokenizer_tool decode tokenizer.json < ids.jsonl               a text a line
// A document is a line {"text": ...}.
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace {

using namespace sambay;
using Json = nlohmann::json;

template <class Each>
void for_each_line(Each each) {
  std::string line;
  while (std::getline(std::cin, line)) {
    each(Json::parse(line));
  }
}

void train(int32_t vocab_size, const std::string& pattern) {
  BpeTrainer trainer({vocab_size,
                      {"<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"},
                      pattern == "digits" ? digit_split_pattern : word_split_pattern});
  for_each_line([&](const Json& line) { trainer.add(line.at("text").get<std::string>()); });
  std::cout << to_tokenizer_json(trainer.train());
}

void run(const std::vector<std::string>& args) {
  if (args.at(1) == "train") {
    train(std::stoi(args.at(2)), args.at(3));
    return;
  }
  const Tokenizer tokenizer = Tokenizer::load(args.at(2));
  double seconds = 0;
  size_t bytes = 0;
  for_each_line([&](const Json& line) {
    if (args.at(1) == "decode") {
      std::cout << Json(tokenizer.decode(line.get<std::vector<int32_t>>())).dump() << '\n';
      return;
    }
    const auto text = line.at("text").get<std::string>();
    const auto begin = std::chrono::steady_clock::now();
    const auto ids = tokenizer.encode(
        text, args.at(1) == "plain" ? AddedTokens::as_text : AddedTokens::recognised);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    bytes += text.size();
    std::cout << Json(ids).dump() << '\n';
  });
  fmt::print(stderr, "{} bytes in {:.3f} s\n", bytes, seconds);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
