#include "data/reasoning/dataset.h"

#include <algorithm>

#include "base/threads.h"
#include "text/bpe_trainer.h"

namespace sambay {

const char* const arithmetic_split_pattern =
    R"( ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]|\s*[\r\n]+|\s+(?!\S)|\s+)";

Problem dataset_problem(ProblemSplit split, uint64_t seed, int64_t index) {
  // Even streams belong to training, odd ones to validation.
  const uint64_t stream = 2 * static_cast<uint64_t>(index) + (split == ProblemSplit::test ? 1 : 0);
  Rng rng(seed, stream);
  return draw_problem(split, rng);
}

TokenizerSpec train_reasoning_tokenizer(int32_t vocab_size, int64_t problems, uint64_t seed) {
  BpeTrainer trainer({.vocab_size = vocab_size,
                      .special_tokens = chat_special_tokens(),
                      .split_pattern = arithmetic_split_pattern});
  for (int64_t i = 0; i < problems; ++i) {
    const Problem problem = dataset_problem(ProblemSplit::train, seed, i);
    trainer.add(problem.question);
    trainer.add(problem.chain);
  }
  return trainer.train();
}

EncodedProblem encode(const Problem& problem, const ChatFormat& format) {
  EncodedProblem out{format.turn(Speaker::user, problem.question), 0};
  const auto answer = format.turn(Speaker::assistant, problem.chain);
  out.targets_from = static_cast<int32_t>(out.ids.size()) + 1;
  out.ids.insert(out.ids.end(), answer.begin(), answer.end());
  return out;
}

DatasetStatistics add_problems(ShardWriter& writer, const ChatFormat& format, ProblemSplit split,
                               uint64_t seed, int64_t count,
                               const std::function<void(int64_t)>& progress) {
  constexpr int64_t block = 1024;
  DatasetStatistics statistics;
  std::vector<EncodedProblem> encoded;
  for (int64_t begin = 0; begin < count; begin += block) {
    encoded.resize(static_cast<size_t>(std::min(block, count - begin)));
    parallel_for(static_cast<int64_t>(encoded.size()), [&](int64_t i) {
      encoded[static_cast<size_t>(i)] = encode(dataset_problem(split, seed, begin + i), format);
    });
    for (const EncodedProblem& problem : encoded) {
      const auto tokens = static_cast<int64_t>(problem.ids.size());
      writer.add(problem.ids, problem.targets_from);
      statistics.tokens += tokens;
      statistics.answer_tokens += tokens - problem.targets_from;
      statistics.longest = std::max(statistics.longest, tokens);
    }
    statistics.documents += static_cast<int64_t>(encoded.size());
    progress(statistics.documents);
  }
  return statistics;
}

}  // namespace sambay
