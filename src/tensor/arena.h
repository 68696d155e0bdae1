// Reused memory for tensors: after the first step no allocation reaches the system.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace sambay {

// `meta` has addresses but no memory: a forward or a whole training step on it computes nothing and
// shows shapes, operations, bytes and peak memory exactly as the real one would have them: ops take
// their scratch memory on it too.
enum class Device : uint8_t { cpu, meta };

// A range of address space from which blocks are cut best fit, lowest address first, and merged
// when they return. The same sequence of calls gives the same addresses; so the peak of a dry run
// on Device::meta is the peak of the real run. Thread-safe.
class Arena {
 public:
  // Reserves address space, not memory: pages are touched as blocks are used.
  // Throws Error if the address space cannot be reserved.
  explicit Arena(Device device = Device::cpu, size_t reserve_bytes = size_t{1} << 40);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  Device device() const { return device_; }
  // 64-byte aligned, not zeroed. Throws Error when the machine's memory does not suffice.
  void* allocate(size_t bytes);
  void release(void* block);

  size_t bytes_in_use() const;
  // Highest end of any block so far: what the arena costs in resident memory at most.
  size_t peak_bytes() const;
  void reset_peak();

 private:
  struct Impl;
  Device device_;
  std::unique_ptr<Impl> impl_;
};

// The arena of tensors that name none. One a device, never destroyed.
Arena& default_arena(Device device);

}  // namespace sambay
