#include "base/hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sambay {

uint64_t hash_bytes(std::span<const std::byte> bytes, uint64_t h) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
    h = std::rotl((h ^ word) * 0xff51afd7ed558ccd, 29);
  }
  return h ^ bytes.size();
}

}  // namespace sambay
