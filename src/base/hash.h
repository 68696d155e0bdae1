// A hash of bytes, quick over gigabytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sambay {

inline constexpr uint64_t hash_seed = 0x9e3779b97f4a7c15;

// Tells damaged or other bytes from the right ones, not forged ones. `h`: the hash of what went
// before. The same on every machine of the same byte order.
uint64_t hash_bytes(std::span<const std::byte> bytes, uint64_t h = hash_seed);

}  // namespace sambay
