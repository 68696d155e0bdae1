// Bytes as the image of a sequence's state: an Error, or a state that saves as the same image. The
// first byte chooses: the rest is the image, or patches (place, place, value) to a good one.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "model/sequence_state.h"

namespace {

using namespace sambay;

SequenceState empty_state() {
  static Arena& arena = *new Arena;
  return {{{{"ssm", StateKind::fixed, {3, 2}, DType::f32, 0}},
           {},
           {{"k", StateKind::ring, {2, 4}, DType::f32, 5},
            {"kv", StateKind::growing, {2, 4}, DType::bf16, 0}}},
          arena};
}

std::vector<std::byte> good_image(int64_t length) {
  auto state = empty_state();
  state.reserve(length);
  state.layer(2).buffers[0].data.zero();
  for (const auto& page : state.layer(2).buffers[1].pages) {
    page->zero();
  }
  state.advance(length);
  return state.save();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::span input(data, size);
  std::vector<std::byte> image;
  if (input[0] == 0) {
    const auto rest = std::as_bytes(input.subspan(1));
    image.assign(rest.begin(), rest.end());
  } else {
    image = good_image(input[0]);
    for (size_t i = 1; i + 2 < size; i += 3) {
      image[(input[i] * 256U + input[i + 1]) % image.size()] ^= std::byte{input[i + 2]};
    }
  }
  auto state = empty_state();
  try {
    state.restore(image);
  } catch (const Error&) {
    check(state.length() == 0, "a refused image leaves the state as it was");
    return 0;
  }
  check(std::ranges::equal(state.save(), image), "a state saves as the image it came from");
  return 0;
}
