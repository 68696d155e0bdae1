// Whatever the bytes: an Error, or tensors whose every byte can be read. Those may be a shard of
// tokens, whose every document can then be read, or a saved chat.
#include <cstdint>
#include <numeric>
#include <span>

#include "base/error.h"
#include "data/shards.h"
#include "engine/saved_chat.h"
#include "formats/safetensors.h"

namespace {

using namespace sambay;

template <class T>
void read_all(std::span<const T> values) {
  volatile const auto sum = std::accumulate(values.begin(), values.end(), uint64_t{0});
  static_cast<void>(sum);
}

void read_tensors(const Safetensors& file) {
  for (const auto& name : file.names()) {
    for (const Tensor& tensor : {file.get(name), file.view(name)}) {
      read_all(std::span(static_cast<const uint8_t*>(tensor.raw()), tensor.bytes()));
    }
  }
}

void read_shard(const Safetensors& file) {
  const auto shard = Shard::parse(file);
  int64_t tokens = 0;
  for (int64_t i = 0; i < shard.documents(); ++i) {
    read_all(shard.document(i));
    tokens += std::ssize(shard.document(i));
    shard.targets_from(i);
  }
  check(tokens == shard.tokens(), "every token is in a document");
}

template <class Read>
void attempt(const Read& read) {
  try {
    read();
  } catch (const Error&) {
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attempt([&] {
    const auto file = Safetensors::parse(std::as_bytes(std::span(data, size)), "fuzz");
    read_tensors(file);
    attempt([&] { read_shard(file); });
    attempt([&] { parse_chat(file); });
  });
  return 0;
}
