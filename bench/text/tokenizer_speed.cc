// tokenizer_speed TOKENIZER FILE PIECE_BYTES REPEATS [IDS]: the speed of encoding a text on one
// thread, as JSON on standard output. The text is encoded in pieces of at least so many bytes, cut
// behind line ends. IDS: a file for the tokens, 32-bit integers, to compare with other programs'
// (bench/peers/tokenizer.py).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "text/tokenizer.h"

namespace {

using namespace sambay;

std::vector<std::string_view> cut(std::string_view text, size_t least) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const size_t end = least < text.size() ? text.find('\n', least) : std::string_view::npos;
    pieces.push_back(text.substr(0, end == std::string_view::npos ? end : end + 1));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void run(char** arguments, int count) {
  const Tokenizer tokenizer = Tokenizer::load(arguments[1]);
  const std::string text = read_text(arguments[2]);
  const auto pieces = cut(text, static_cast<size_t>(std::atoll(arguments[3])));
  std::vector<double> seconds, processor;
  std::vector<int32_t> ids;
  for (int repeat = std::atoi(arguments[4]); repeat > 0; --repeat) {
    ids.clear();
    const auto begin = std::chrono::steady_clock::now();
    const double processor_begin = processor_seconds();
    for (const std::string_view piece : pieces) {
      tokenizer.encode_to(ids, piece);
    }
    processor.push_back(processor_seconds() - processor_begin);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  if (count > 5) {
    write_atomically(arguments[5], std::as_bytes(std::span(ids)));
  }
  fmt::print(R"({{"bytes":{},"pieces":{},"tokens":{},"seconds":[{}],"processor_seconds":[{}]}})"
             "\n",
             text.size(), pieces.size(), ids.size(), fmt::join(seconds, ","),
             fmt::join(processor, ","));
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    fmt::print(stderr, "usage: {} TOKENIZER FILE PIECE_BYTES REPEATS [IDS]\n", arguments[0]);
    return 2;
  }
  try {
    run(arguments, count);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
