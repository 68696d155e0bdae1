// Reasoning problems as a data set: a tokenizer and shards of conversations.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/reasoning/problem.h"
#include "data/shards.h"
#include "text/chat.h"

namespace sambay {

// Digits and punctuation stand alone (punctuation with a space before it), words apart from both:
// each digit and each operator of a chain is one token whatever surrounds it.
extern const char* const arithmetic_split_pattern;

// Byte-level BPE of at most vocab_size tokens, trained on questions and chains of `problems` drawn
// from the training split.
TokenizerSpec train_reasoning_tokenizer(int32_t vocab_size, int64_t problems, uint64_t seed);

// Problem number `index` of a data set: it depends on nothing but the three arguments.
Problem dataset_problem(ProblemSplit split, uint64_t seed, int64_t index);

// "<|user|>QUESTION<|end|><|assistant|>CHAIN<|end|>"; the loss counts from the chain's first token.
struct EncodedProblem {
  std::vector<int32_t> ids;
  int32_t targets_from = 0;  // where the chain begins
};
EncodedProblem encode(const Problem& problem, const ChatFormat& format);

struct DatasetStatistics {
  int64_t documents = 0, tokens = 0, answer_tokens = 0, longest = 0;

  double mean_tokens() const {
    return static_cast<double>(tokens) / static_cast<double>(documents);
  }
  // Tokens of a chain with its closing <|end|>.
  double mean_answer() const {
    return static_cast<double>(answer_tokens) / static_cast<double>(documents);
  }
};

// Problems 0 to count - 1, encoded on all threads, in order. `progress` gets how many are done.
DatasetStatistics add_problems(ShardWriter& writer, const ChatFormat& format, ProblemSplit split,
                               uint64_t seed, int64_t count,
                               const std::function<void(int64_t)>& progress);

}  // namespace sambay
