#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <memory_resource>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/error.h"

namespace sambay {
namespace {

constexpr size_t alignment = 64;

size_t rounded(size_t bytes) {
  return std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
}

}  // namespace

struct Arena::Impl {
  std::byte* base = nullptr;
  size_t reserved = 0;
  mutable std::mutex mutex;
  std::pmr::unsynchronized_pool_resource nodes;  // used again: steady state allocates nothing
  std::pmr::map<size_t, size_t> free_by_offset{&nodes};  // offset -> bytes
  // (bytes, offset): best fit, lowest first.
  std::pmr::set<std::pair<size_t, size_t>> free_by_size{&nodes};
  std::pmr::unordered_map<size_t, size_t> used{&nodes};  // offset -> bytes
  size_t end = 0;  // everything from here on has never been cut
  size_t in_use = 0, peak = 0;

  void add_free(size_t offset, size_t bytes) {
    free_by_offset.emplace(offset, bytes);
    free_by_size.emplace(bytes, offset);
  }
  void remove_free(std::pmr::map<size_t, size_t>::iterator it) {
    free_by_size.erase({it->second, it->first});
    free_by_offset.erase(it);
  }
};

Arena::Arena(Device device, size_t reserve_bytes) : device_(device), impl_(new Impl) {
  impl_->reserved = reserve_bytes;
  if (device == Device::meta) {
    impl_->base = reinterpret_cast<std::byte*>(alignment);
    return;
  }
  void* base = MAP_FAILED;
  // Sandboxes and ulimits may refuse a large reservation: take what they allow.
  constexpr size_t least = size_t{1} << 20;
  impl_->reserved = std::max(impl_->reserved, least);
  for (; impl_->reserved >= least; impl_->reserved /= 2) {
    base = mmap(nullptr, impl_->reserved, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base != MAP_FAILED) {
      break;
    }
  }
  if (base == MAP_FAILED) {
    fail("memory", "cannot reserve {} MiB of address space", reserve_bytes >> 20);
  }
  madvise(base, impl_->reserved, MADV_HUGEPAGE);
  impl_->base = static_cast<std::byte*>(base);
}

Arena::~Arena() {
  if (device_ == Device::cpu) {
    munmap(impl_->base, impl_->reserved);
  }
}

void* Arena::allocate(size_t bytes) {
  const size_t want = rounded(bytes);
  Impl& a = *impl_;
  const std::lock_guard lock(a.mutex);
  size_t offset = a.end;
  const auto fit = a.free_by_size.lower_bound({want, 0});
  if (fit != a.free_by_size.end()) {
    const auto [size, at] = *fit;
    offset = at;
    a.remove_free(a.free_by_offset.find(at));
    if (size > want) {
      a.add_free(at + want, size - want);
    }
  } else {
    // Grow the free block that touches the end, if there is one, rather than leave it behind.
    if (!a.free_by_offset.empty()) {
      const auto last = std::prev(a.free_by_offset.end());
      if (last->first + last->second == a.end) {
        offset = last->first;
        a.remove_free(last);
      }
    }
    if (want > a.reserved - offset) {
      fail("memory", "{} MiB wanted and {} MiB in use: more than the {} MiB that can be had",
           want >> 20, a.in_use >> 20, a.reserved >> 20);
    }
    a.end = offset + want;
  }
  a.used.emplace(offset, want);
  a.in_use += want;
  a.peak = std::max(a.peak, offset + want);
  return a.base + offset;
}

void Arena::release(void* block) {
  Impl& a = *impl_;
  const std::lock_guard lock(a.mutex);
  size_t offset = static_cast<size_t>(static_cast<std::byte*>(block) - a.base);
  const auto used = a.used.find(offset);
  check(used != a.used.end(), "a released block belongs to its arena");
  size_t bytes = used->second;
  a.used.erase(used);
  a.in_use -= bytes;
  auto next = a.free_by_offset.lower_bound(offset);
  if (next != a.free_by_offset.end() && next->first == offset + bytes) {
    bytes += next->second;
    const auto after = std::next(next);
    a.remove_free(next);
    next = after;
  }
  if (next != a.free_by_offset.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      a.remove_free(before);
    }
  }
  a.add_free(offset, bytes);
}

size_t Arena::bytes_in_use() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->in_use;
}

size_t Arena::peak_bytes() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->peak;
}

void Arena::reset_peak() {
  const std::lock_guard lock(impl_->mutex);
  impl_->peak = 0;
  for (const auto& [offset, bytes] : impl_->used) {
    impl_->peak = std::max(impl_->peak, offset + bytes);
  }
}

Arena& default_arena(Device device) {
  // Never destroyed: tensors in static storage may outlive any order of destruction.
  static Arena& cpu = *new Arena(Device::cpu);
  static Arena& meta = *new Arena(Device::meta);
  return device == Device::cpu ? cpu : meta;
}

}  // namespace sambay
